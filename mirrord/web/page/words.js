// How quantities and moments are said. Pure: numbers in, text out.

const UNITS = [["TiB", 2 ** 40], ["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]];
const SPANS = [["d", 86400, "h", 3600], ["h", 3600, "min", 60], ["min", 60, "s", 1]];

export const STATES = ["Blocked", "Retrying", "Transferring", "Pending", "Waiting", "Suspended", "Synced"];

export const count = new Intl.NumberFormat("en").format;

export function size(bytes) {
  for (const [unit, scale] of UNITS) if (bytes >= scale) return `${(bytes / scale).toFixed(1)} ${unit}`;
  return `${Math.round(bytes)} B`;
}

export function span(seconds) {
  if (seconds < 1) return "less than 1 s";
  for (const [big, bigSize, small, smallSize] of SPANS) {
    if (seconds < bigSize) continue;
    const rest = Math.floor((seconds % bigSize) / smallSize);
    return `${Math.floor(seconds / bigSize)} ${big}${rest ? ` ${rest} ${small}` : ""}`;
  }
  return `${Math.floor(seconds)} s`;
}

export const ago = (at, now) => (now - at < 1 ? "just now" : `${span(now - at)} ago`);

export const ahead = (at, now) => (at - now < 1 ? "due now" : `in ${span(at - now)}`);

export const moment = (at) => new Date(at * 1000).toLocaleString();

export const things = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

// How much of a transfer is done, 0 to 1; null where the source does not say how long it is.
export const share = (bytes, whole) => (whole === null ? null : whole === 0 ? 1 : Math.min(1, bytes / whole));

export function left(transfer) {
  if (transfer.size === null || transfer.rate < 1) return "";
  const rest = transfer.size - Math.max(transfer.bytes_sent, transfer.kind === "put" ? transfer.bytes_read : 0);
  return rest > 0 ? `about ${span(rest / transfer.rate)} left` : "finishing";
}

// One sentence that says how things stand, and one that says what it means.
export function summary(status) {
  const of = (state) => status.totals[state] ?? 0;
  const all = Object.values(status.totals).reduce((sum, one) => sum + one, 0);
  const synced = of("Synced");
  const onTheWay = of("Pending") + of("Transferring") + of("Waiting");
  if (status.not_ready) return ["bad", `Not ready: ${status.not_ready}`, ""];
  if (!all) return ["calm", "No items yet", "An entry in a manifest, or a file in a watched folder, makes one."];
  if (of("Blocked")) {
    const verb = of("Blocked") === 1 ? "needs" : "need";
    return ["bad", `${things(of("Blocked"), "item")} ${verb} a person`, `${count(synced)} of ${count(all)} objects are up to date.`];
  }
  if (of("Retrying")) return ["warn", `${things(of("Retrying"), "item")} failed and will be tried again`, `${count(synced)} of ${count(all)} objects are up to date.`];
  if (onTheWay) return ["busy", `${count(synced)} of ${count(all)} objects are up to date`, `${count(onTheWay)} on the way.`];
  const suspended = of("Suspended") ? ` ${count(of("Suspended"))} suspended.` : "";
  if (!synced) return ["calm", "Nothing to do", `Every item is suspended.`];
  const whole = synced === 1 ? "The one object is up to date" : `All ${count(synced)} objects are up to date`;
  return ["good", whole, `Equal to the last revision seen of each source.${suspended}`];
}
