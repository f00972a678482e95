// Texts of quantities, times and states. Pure functions.

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

export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

export const things = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

// The share of a transfer that is done, 0 to 1; null if the source does not give the size.
export const share = (bytes, whole) => (whole === null ? null : whole === 0 ? 1 : Math.min(1, bytes / whole));

export function left(transfer) {
  if (transfer.size === null || transfer.rate < 1) return "";
  const rest = transfer.size - Math.max(transfer.bytes_sent, transfer.kind === "put" ? transfer.bytes_read : 0);
  return rest > 0 ? `about ${span(rest / transfer.rate)} left` : "finishing";
}

// How far a transfer is.
export function transferText(transfer) {
  const sent = share(transfer.bytes_sent, transfer.size);
  const whole = transfer.size === null ? "" : ` of ${size(transfer.size)}`;
  return [
    sent === null ? "" : `${Math.floor(100 * sent)} %`,
    `${size(transfer.bytes_sent)}${whole} sent`,
    transfer.bytes_read > transfer.bytes_sent ? `${size(transfer.bytes_read)} read` : "",
    `${size(transfer.rate)}/s`,
    left(transfer),
    transfer.attempt > 1 ? `attempt ${transfer.attempt}` : "",
  ].filter(Boolean).join(" · ");
}

// The mood, the headline and a note.
export function summary(status) {
  const of = (state) => status.totals[state] ?? 0;
  const all = Object.values(status.totals).reduce((sum, one) => sum + one, 0);
  const upToDate = `${count(of("Synced"))} of ${count(all)} objects are up to date`;
  const onTheWay = of("Pending") + of("Transferring") + of("Waiting");
  const rejected = status.files.filter((file) => !file.valid).length;
  const [unread, down] = [status.folders.filter(unreadable).length, storesDown(status).length];
  const partial = status.lists.filter((list) => !list.complete).length;
  if (status.not_ready) return ["bad", `Not ready: ${status.not_ready}`, all ? `${upToDate}.` : ""];
  const urgent = [
    of("Blocked") ? `${things(of("Blocked"), "item")} ${of("Blocked") === 1 ? "is" : "are"} blocked` : "",
    rejected ? `${things(rejected, "manifest")} ${rejected === 1 ? "is" : "are"} rejected` : "",
    unread ? `${things(unread, "folder")} cannot be read` : "",
    partial ? `${things(partial, "list")} ${partial === 1 ? "is" : "are"} incomplete` : "",
    down ? `${things(down, "store")} ${down === 1 ? "does" : "do"} not answer` : "",
  ].filter(Boolean);
  if (urgent.length) return ["bad", urgent.join(", "), all ? `${upToDate}.` : ""];
  if (!all) return ["calm", "No items yet", "An entry in a manifest, or a file in a watched folder, creates one."];
  if (of("Retrying")) return ["warn", `${things(of("Retrying"), "item")} failed and will be tried again`, `${upToDate}.`];
  if (onTheWay) return ["busy", upToDate, `${count(onTheWay)} on the way.`];
  const suspended = of("Suspended") ? ` ${count(of("Suspended"))} suspended.` : "";
  if (!of("Synced")) return ["calm", "Nothing to do", "Every item is suspended."];
  const whole = all === 1 ? "The one object is up to date" : `All ${count(of("Synced"))} objects are up to date`;
  return ["good", whole, `Equal to the last known revision of each source.${suspended}`];
}

// What to do while there is no item; else empty.
export function nextStep(status) {
  if (Object.values(status.totals).some(Boolean)) return "";
  if (!status.files.length) return "Write a manifest like this one, and give its path to mirrord run. mirrord reads it again whenever it changes:";
  if (status.files.some((file) => !file.valid)) return "Correct the manifest: its errors are named below. mirrord reads it again as soon as it is saved.";
  if (status.folders.length) return "Put a file into a watched folder: it is copied once it is complete.";
  return "Add an entry under mirrors in a manifest below, and save it: mirrord reads it again by itself.";
}

// A folder whose last scan was not complete.
export const unreadable = (folder) => !folder.complete;

export const storesDown = (status) => Object.entries(status.stores).filter(([, up]) => !up).map(([name]) => name);

const CLOSED = { state: "closed", since: null, next_try: null, error: "", waiting: 0 };

// Each store that was called, and each host or source store that failed or refused calls: {key, name, kind, isDown, limit, breaker}.
export function storesAndHosts(status) {
  const breakers = new Map(status.breakers.map((one) => [one.name, one]));
  const stores = Object.keys(status.stores).map((name) => ({ key: `store '${name}'`, name, kind: "store", isDown: !status.stores[name] }));
  const known = new Set(stores.map((one) => one.key));
  const others = [...new Set([...breakers.keys(), ...Object.keys(status.calls_at_once)])].filter((key) => !known.has(key));
  return [...stores, ...others.map((key) => ({ key, isDown: null, ...namedKind(key) }))].map((one) => ({
    ...one, limit: status.calls_at_once[one.key] ?? 0, breaker: breakers.get(one.key) ?? CLOSED,
  }));
}

function namedKind(key) {
  const [, kind, name] = /^(source store|store|host) (.*)$/s.exec(key) ?? [null, "", key];
  return { kind: kind || "host", name: name.replace(/^'(.*)'$/s, "$1") };
}

const BREAKERS = {
  closed: "breaker closed", open: "breaker open: no item passes", "half-open": "breaker half-open: one item tries", slowed: "breaker slowed: items pass one at a time",
};

export const breakerText = (one, now) => [
  BREAKERS[one.state] ?? one.state,
  one.since === null ? "" : `for ${span(Math.max(0, now - one.since))}`,
  one.next_try === null ? "" : `next try ${ahead(one.next_try, now)}`,
  one.waiting ? `${things(one.waiting, "item waits", "items wait")}` : "",
].filter(Boolean);

// Stores that do not answer, and stores and hosts whose breaker is not closed.
const heldBack = (status) => storesAndHosts(status).filter((one) => one.isDown || one.breaker.state !== "closed");

export const because = (item) => [item.reason, item.message].filter(Boolean).join(": ");

export function inForce(file) {
  if (file.valid) return "";
  return file.in_force ? "its last good version stays in force" : "nothing of it is in force";
}

export const spot = (problem) => [`line ${problem.line}, column ${problem.column}`, problem.path].filter(Boolean).join(" · ");

export function folderTrouble(folder) {
  const unread = folder.complete ? "" : "not everything could be read, so no file counts as gone";
  return [folder.problem, unread].filter(Boolean).join("; ");
}

// Files that a rule left out: not a problem, but shown.
export const folderLeft = (folder) =>
  folder.left_out.length ? `left: ${folder.left_out.map((one) => `${things(one.count, one.kind)} (${one.count > 1 ? "first: " : ""}${one.first})`).join(", ")}` : "";

// What a webhook or heartbeat holds and lost.
export const receiverText = (one) => [
  one.kind === "webhook" ? `${count(one.waiting)} waiting` : "heartbeat",
  one.dead ? `${count(one.dead)} given up` : "",
  one.dropped ? `${count(one.dropped)} dropped` : "",
  one.problem,
].filter(Boolean).join(" · ");

export const proxyText = (one) => [
  `${one.proxy} for ${one.used_by}`,
  one.network_policy ? `network policy: ${one.network_policy}` : "",
  one.problem ? `it failed: ${one.problem}` : "",
].filter(Boolean).join(" · ");

export const receiverTrouble = (one) => Boolean(one.problem || one.dead || one.dropped);

// Everything that needs attention, the most serious first: {key, mood, badge, name, why, numbers}.
export function concerns(status, items, now) {
  const mood = { Blocked: "bad", Retrying: "warn" };
  return [
    ...status.files.filter((file) => !file.valid).map((file) => ({
      key: `file ${file.file}`, mood: "bad", badge: "Rejected", name: file.file, numbers: inForce(file),
      why: file.problems.map((problem) => `${spot(problem)}: ${problem.message}`).slice(0, 3),
    })),
    ...heldBack(status).map((one) => ({
      key: one.key, mood: one.isDown || one.breaker.state === "open" ? "bad" : "warn", badge: one.kind === "host" ? "Host" : "Store",
      name: one.name, numbers: breakerText(one.breaker, now).join(" · "),
      why: [one.isDown ? "It did not answer the last call." : "", one.breaker.error],
    })),
    ...status.folders.filter(folderTrouble).map((folder) => ({
      key: `folder ${folder.name}`, mood: "bad", badge: "Folder", name: folder.path, numbers: "", why: [folderTrouble(folder)],
    })),
    ...status.lists.filter((list) => !list.complete).map((list) => ({
      key: `list ${list.name}`, mood: "bad", badge: "List", name: list.source, numbers: "nothing leaves because of it",
      why: list.faults.slice(0, 3),
    })),
    ...status.receivers.filter(receiverTrouble).map((one) => ({
      key: `receiver ${one.id}`, mood: "warn", badge: "Webhook", name: one.name, numbers: "", why: [receiverText(one)],
    })),
    ...items.map((item) => ({
      key: item.id, item: item.id, mood: mood[item.state], badge: item.state, name: item.destination, why: [because(item)],
      numbers: [
        item.since ? `since ${span(Math.max(0, now - item.since))}` : "",
        item.next_check === null ? "" : `next ${item.state === "Retrying" ? "try" : "check"} ${ahead(item.next_check, now)}`,
      ].filter(Boolean).join(" · "),
    })),
  ];
}
