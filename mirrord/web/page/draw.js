// Draws the status page.

import { at, badge, keep, make, makeBar, part, parts, setBadge, setItemLink, setLink, setText, updateBar, when } from "./dom.js";
import {
  STATES, ago, ahead, because, count, nextStep, proxyText, receiverText, size, span, storesDown, summary, things, transferText, unreadable,
} from "./words.js";

const MOST_MOVING = 20;

// ── the top ───────────────────────────────────────────────────────────────────────────────────────
export function drawSummary(status) {
  const [mood, whole, note] = summary(status);
  setText(at("summary"), whole);
  setText(at("summary-note"), note);
  document.body.dataset.mood = mood;
}

export function drawTotals(status, chosen, choose) {
  const list = STATES.map((state) => ({ state, number: status.totals[state] ?? 0 }));
  const build = ({ state }) => {
    const tile = make("li");
    const button = make("button", `tile ${state}`);
    button.type = "button";
    button.append(make("span", "figure"), make("span", "word", state));
    button.addEventListener("click", () => choose(button.getAttribute("aria-pressed") === "true" ? "" : state));
    tile.append(button);
    return tile;
  };
  keep(at("totals"), list, (one) => one.state, build, (tile, { state, number }) => {
    setText(part(tile, "figure"), count(number));
    tile.firstChild.setAttribute("aria-pressed", String(state === chosen));
    tile.classList.toggle("none", !number);
  });
  const shown = list.filter((one) => one.number).reverse();
  keep(at("share"), shown, (one) => one.state, ({ state }) => make("span", state), (piece, { number }) => {
    piece.style.flexGrow = String(number);
  });
}

// ── transfers ─────────────────────────────────────────────────────────────────────────────────────
export function drawMoving(running, totals) {
  const shown = running.slice(0, MOST_MOVING);
  keep(at("moving"), shown, (one) => one.transfer_id, buildMoving, updateMoving);
  const rest = running.length - shown.length;
  const none = at("moving-none");
  none.hidden = running.length > 0 && !rest;
  if (rest) setText(none, `and ${things(rest, "more transfer")}.`);
  else setText(none, totals.Transferring ? "Transfers are starting." : "Nothing is being copied right now.");
}

function buildMoving() {
  const card = parts("li", "name", "numbers");
  card.insertBefore(makeBar(), part(card, "numbers"));
  return card;
}

function updateMoving(card, transfer) {
  setItemLink(part(card, "name"), transfer.item_id, transfer.destination);
  updateBar(part(card, "bar"), transfer);
  setText(part(card, "numbers"), transferText(transfer));
}

// ── items ─────────────────────────────────────────────────────────────────────────────────────────
export function drawAttention(list, more) {
  at("attention").hidden = !list.length;
  keep(at("attention-list"), list, (one) => one.key, () => {
    const card = parts("li", "name");
    card.prepend(make("span"));
    card.append(make("ul", "whys"), make("p", "numbers"));
    card.firstChild.classList.add("badge");
    return card;
  }, (card, one) => {
    setBadge(card.firstChild, one.badge);
    card.className = one.mood;
    if (one.item) setItemLink(part(card, "name"), one.item, one.name);
    else setText(part(card, "name"), one.name);
    keep(part(card, "whys"), one.why.filter(Boolean), (why) => why, () => make("li", "why"), (line, why) => setText(line, why));
    setText(part(card, "numbers"), one.numbers);
  });
  setText(at("attention-title"), more ? "Needs attention (the first of them)" : "Needs attention");
}

export function drawItems(page, place, now) {
  keep(at("rows"), page.items, (one) => one.id, buildRow, (row, one) => updateRow(row, one, now));
  const none = at("items-none");
  none.hidden = page.items.length > 0;
  at("items").hidden = !page.items.length;
  setText(none, !place.first ? "No item is left on this page." : place.filtered ? "No item fits the filter." : "There are no items.");
  at("page-back").disabled = place.first;
  at("page-next").disabled = page.cursor === null;
  const pager = !place.first || page.cursor !== null;
  at("page-back").hidden = at("page-next").hidden = !pager;
  setText(at("page-text"), !pager ? "" : place.number === null ? "a later page" : `page ${place.number}`);
}

function buildRow(one) {
  const row = make("tr");
  const state = make("td");
  state.append(badge(one.state));
  const object = make("td", "object");
  object.append(make("p", "name"), make("p", "source"), make("p", "of"), make("p", "why"));
  row.append(state, object, make("td", "since"), make("td", "copied"), make("td", "next"), make("td", "size number"));
  ["State", "Object", "Since", "Last copied", "Next check", "Size"].forEach((label, place) => (row.cells[place].dataset.label = label));
  return row;
}

function updateRow(row, one, now) {
  setBadge(part(row, "badge"), one.state);
  setItemLink(part(row, "name"), one.id, one.destination);
  setText(part(row, "source"), one.source);
  const isNamed = one.entry && !one.destination.endsWith(`/${one.entry}`);
  part(row, "of").hidden = !isNamed;
  if (isNamed) setLink(part(row, "of"), `?${new URLSearchParams({ entry: one.entry })}`, one.entry);
  setText(part(row, "why"), because(one));
  if (one.since) when(part(row, "since"), one.since, ago(one.since, now));
  if (one.synced_at === null) setText(part(row, "copied"), "–");
  else when(part(row, "copied"), one.synced_at, ago(one.synced_at, now));
  if (one.next_check === null) setText(part(row, "next"), "–");
  else when(part(row, "next"), one.next_check, ahead(one.next_check, now));
  const cell = part(row, "size");
  setText(cell, one.size === null ? "–" : size(one.size));
  cell.title = one.integrity ? `proven by ${one.integrity}` : "";
}

// An empty daemon says what to do next.
export function drawStart(status) {
  const text = nextStep(status);
  at("start").hidden = !text;
  setText(at("start-text"), text);
  at("start-example").hidden = status.files.length > 0;
}

// ── webhooks, proxies, the daemon ─────────────────────────────────────────────────────────────────
export function drawProxies(proxies) {
  at("proxies").hidden = !proxies.length;
  keep(at("proxies-list"), proxies, (one) => `${one.proxy} ${one.used_by}`, () => make("li"), (line, one) => setText(line, proxyText(one)));
}

export function drawReceivers(status) {
  at("receivers").hidden = !status.receivers.length;
  keep(at("receivers-list"), status.receivers, (one) => one.id, () => parts("li", "name", "numbers"), (card, one) => {
    setText(part(card, "name"), one.name);
    setText(part(card, "numbers"), receiverText(one));
  });
  at("stale").hidden = !status.stale_items;
  setText(at("stale-title"), `${things(status.stale_items, "stale item")}: out of sync for longer than stale_after`);
  keep(at("stale-list"), status.stale, (one) => one, () => make("li"), (line, one) => setText(line, one));
}

export function drawAbout(status, now) {
  setText(at("about"), `mirrord ${status.version} · process ${status.pid} · up ${span(Math.max(0, now - status.started))}`);
  at("differences").hidden = !status.differences.length;
  keep(at("differences-list"), status.differences, (one) => one, () => make("li"), (line, one) => setText(line, one));
  at("promises").hidden = !status.not_enforced.length;
  keep(at("promises-list"), status.not_enforced, (one) => one, () => make("li"), (line, one) => setText(line, one));
}

// ── title ─────────────────────────────────────────────────────────────────────
export function drawTitle(status, link) {
  const blocked = status?.totals.Blocked ?? 0;
  const troubled = Boolean(status) && (status.folders.some(unreadable) || storesDown(status).length > 0);
  const state = status?.not_ready ? "not ready" : blocked ? `${count(blocked)} blocked` : troubled ? "trouble" : "";
  const word = link.notice ? "no answer" : state;
  const title = word ? `${word} · mirrord` : "mirrord";
  if (document.title !== title) document.title = title;
}
