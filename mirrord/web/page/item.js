// The page of one item: what it is, what went wrong and what to do, its history, and "check now".

import { adviceOf, proofOf } from "./advice.js";
import { at, keep, make, makeBar, part, parts, plain, setBadge, setLink, setText, updateBar, when } from "./dom.js";
import { Refusal } from "./feed.js";
import { Loop } from "./loop.js";
import { ago, ahead, because, capital, count, moment, size, span, transferText } from "./words.js";

const MOST_SHOWN = 100; // entries of the history
const WRITE_TOKEN = "mirrord-api-token"; // in the session's storage
const ID = location.pathname.split("/").at(-1);

const view = {
  item: null,
  history: null, // {entries, problem}
  seen: "", // the state of the item that `history` is of
  missing: false,
};
const loop = new Loop({
  request, onEvent, draw: drawAll, isMoving: () => view.item?.progress != null, hasData: () => view.item !== null,
});
const bar = makeBar();

// ── requests ──────────────────────────────────────────────────────────────────────────────────────
async function request() {
  try {
    view.item = await loop.feed.ask(`api/v1/items/${ID}`);
    view.missing = false;
    await requestHistory();
  } catch (error) {
    if (!(error instanceof Refusal && error.status === 404)) throw error;
    view.missing = true;
  }
}

// The history costs calls to the store: it is requested again only if something happened to the item.
async function requestHistory() {
  const { state, since, synced_at, reason, restored, next_check } = view.item;
  const seen = JSON.stringify([state, since, synced_at, reason, restored, state === "Retrying" ? next_check : null]);
  if (seen === view.seen) return;
  view.history = await loop.feed.ask(`api/v1/items/${ID}/history`);
  view.seen = seen;
}

function onEvent(name, event) {
  if (event.item !== ID) return true;
  if (name !== "transfer.progress" || view.item?.progress?.transfer_id !== event.transfer_id) return false;
  Object.assign(view.item.progress, { bytes_read: event.bytes_read, bytes_sent: event.bytes_sent, size: event.size });
  drawProgress(view.item.progress);
  return true;
}

// ── drawing ───────────────────────────────────────────────────────────────────────────────────────
function drawAll(now, link) {
  const word = link.notice ? "no answer" : view.missing ? "no such item" : view.item?.state;
  const key = view.item ? placeOf(view.item).key : "item";
  document.title = [word, plain(key), "mirrord"].filter(Boolean).join(" · ");
  at("known").hidden = view.missing || !view.item;
  at("state").hidden = view.missing || !view.item;
  if (view.missing) return drawMissing();
  if (view.item) drawItem(view.item, now);
}

function drawMissing() {
  setText(at("title"), "There is no such item");
  setText(at("note"), `No item has the id ${ID}. Its entry may have left the manifest, or its object was pruned.`);
}

function drawItem(item, now) {
  setText(at("title"), item.destination);
  setBadge(at("state"), item.state);
  const message = ["Blocked", "Retrying"].includes(item.state) ? "" : because(item); // else it is under "Last error"
  setText(at("note"), [item.since ? `since ${moment(item.since)}, ${ago(item.since, now)}` : "", message].filter(Boolean).join(" · "));
  drawProgress(item.progress);
  drawTrouble(troubleOf(item), now);
  setText(at("next"), nextText(item, now));
  drawFacts(at("object"), objectFacts(item, now));
  drawFacts(at("source"), sourceFacts(item));
  if (view.history) drawHistory(view.history, now);
}

function drawProgress(progress) {
  at("progress").hidden = !progress;
  if (!progress) return;
  if (!bar.isConnected) at("progress-numbers").before(bar);
  updateBar(bar, progress);
  setText(at("progress-numbers"), transferText(progress));
}

// The error of the item's state; else the last failed attempt, which later ones made good.
function troubleOf(item) {
  if (["Blocked", "Retrying"].includes(item.state)) return { ...item, when: item.since, over: false };
  const failed = view.history?.entries.find((one) => one.outcome === "failed");
  return failed ? { ...failed, over: item.state === "Synced" } : null;
}

function drawTrouble(trouble, now) {
  at("trouble").hidden = !trouble;
  if (!trouble) return;
  const advice = adviceOf(trouble.reason);
  at("trouble-card").className = trouble.over ? "" : trouble.state === "Blocked" ? "bad" : "warn";
  setText(at("trouble-text"), because(trouble));
  setText(at("trouble-means"), advice.means);
  setText(at("trouble-do"), trouble.over ? "Nothing is to be done: a later check succeeded." : `What to do: ${advice.todo}`);
  setText(at("trouble-when"), trouble.when ? `${moment(trouble.when)}, ${ago(trouble.when, now)}` : "");
}

function nextText(item, now) {
  if (item.progress) return "A transfer runs now.";
  if (item.next_check === null) return "No next check is planned: mirrord watches for changes, or the item is suspended.";
  return `Next ${item.state === "Retrying" ? "try" : "check"}: ${moment(item.next_check)}, ${ahead(item.next_check, now)}.`;
}

// Of "s3://bucket/key".
function placeOf(item) {
  const [, bucket, key] = /^s3:\/\/([^/]*)\/(.*)$/s.exec(item.destination) ?? [null, "", item.destination];
  return { bucket, key };
}

const currentOf = (history) => history?.entries.find((one) => one.outcome === "current") ?? null;

function objectFacts(item, now) {
  const current = currentOf(view.history);
  const { bucket, key } = placeOf(item);
  return [
    ["Store", item.store], ["Bucket", bucket], ["Key", key],
    ["Length", item.size === null ? "not copied yet" : `${size(item.size)} (${count(item.size)} bytes)`],
    ["Last copied", item.synced_at === null ? "never" : `${moment(item.synced_at)}, ${ago(item.synced_at, now)}`],
    ["Proof of the copy", item.integrity ? proofOf(item.integrity) : ""],
    ["Checksum", current?.checksum], ["ETag", current?.etag], ["Version", current?.version_id],
    ["Restored version", item.restored],
  ];
}

function sourceFacts(item) {
  const revision = Object.entries(currentOf(view.history)?.revision ?? {});
  return [
    ["Source", item.source],
    ["Entry", item.entry],
    ["Revision", revision.length ? "" : "not read yet"],
    ...revision.map(([name, value]) => [`Revision: ${name.replaceAll("_", " ")}`, String(value)]),
  ];
}

function drawFacts(list, facts) {
  const build = () => {
    const fact = make("div");
    fact.append(make("dt"), make("dd"));
    return fact;
  };
  keep(list, facts.filter(([, text]) => text), ([name]) => name, build, (fact, [name, text]) => {
    setText(fact.firstChild, name);
    if (name === "Entry") setLink(fact.lastChild, `?${new URLSearchParams({ entry: text })}`, text);
    else setText(fact.lastChild, text);
  });
}

function drawHistory(history, now) {
  const { entries, problem } = history;
  const more = entries.length - MOST_SHOWN;
  const notes = [
    entries.length ? "" : "Nothing was copied yet, and nothing failed.",
    more > 0 ? `The newest ${MOST_SHOWN} of ${count(entries.length)} entries; the API has all.` : "",
    problem ? `Versions of the store are not shown: ${problem}` : "",
  ].filter(Boolean);
  at("history-note").hidden = !notes.length;
  setText(at("history-note"), notes.join(" "));
  const build = () => {
    const card = parts("li", "name", "numbers", "why");
    card.prepend(make("span", "badge"));
    return card;
  };
  const keyOf = (one) => `${one.outcome} ${one.when} ${one.transfer_id ?? one.version_id}`;
  keep(at("history"), entries.slice(0, MOST_SHOWN), keyOf, build, (card, one) => drawEntry(card, one, now));
}

function drawEntry(card, one, now) {
  setBadge(part(card, "badge"), capital(one.outcome));
  card.className = one.outcome === "failed" ? (one.state === "Blocked" ? "bad" : "warn") : "";
  if (one.when === null) setText(part(card, "name"), "at an unknown time");
  else when(part(card, "name"), one.when, `${moment(one.when)}, ${ago(one.when, now)}`);
  setText(part(card, "numbers"), [
    one.size === null ? "" : size(one.size),
    one.duration === null ? "" : `took ${span(one.duration)}`,
    one.integrity ? `proven by ${one.integrity}` : "",
    one.until === null ? "" : `until ${moment(one.until)}`,
    one.etag ? `ETag ${one.etag}` : "",
    one.version_id ? `version ${one.version_id}` : "",
    one.source && one.source !== view.item.source ? `from ${one.source}` : "",
  ].filter(Boolean).join(" · "));
  setText(part(card, "why"), one.outcome === "failed" ? because(one) : one.outcome === "current" ? "" : one.message);
}

// ── check now ─────────────────────────────────────────────────────────────────────────────────────
function ask(shown) {
  at("write").hidden = !shown;
  at("check").hidden = shown;
  at("write-text").value = "";
  at(shown ? "write-text" : "check").focus();
}

async function check(token) {
  at("check").disabled = true;
  try {
    await loop.feed.send(`api/v1/items/${ID}/sync`, token);
    sessionStorage.setItem(WRITE_TOKEN, token);
    say("The check is queued.", "");
    loop.updateSoon();
  } catch (error) {
    if (error.status === 401) {
      sessionStorage.removeItem(WRITE_TOKEN);
      ask(true);
      say("mirrord refused this token.", "bad");
    } else say(error instanceof Refusal ? capital(error.message) : "mirrord does not answer.", "bad");
  }
  at("check").disabled = false;
}

function say(text, mood) {
  setText(at("check-result"), text);
  at("check-result").className = mood;
}

function listen() {
  at("json").href = `../api/v1/items/${ID}`;
  at("check").addEventListener("click", () => {
    const token = sessionStorage.getItem(WRITE_TOKEN);
    say("", "");
    if (token) check(token);
    else ask(true);
  });
  at("write").addEventListener("submit", (event) => {
    event.preventDefault();
    const token = at("write-text").value;
    ask(false);
    check(token);
  });
  at("write-cancel").addEventListener("click", () => ask(false));
}

listen();
loop.start();
