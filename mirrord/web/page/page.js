// The status page: requests the status and one page of items, and keeps filter and place in the address.

import { at } from "./dom.js";
import * as draw from "./draw.js";
import { drawEntries, drawHour } from "./groups.js";
import { ORDERS, addressOf, directionOf, fromTheStart, isFiltered, placeOf, requestPage, turned } from "./listing.js";
import { Loop } from "./loop.js";
import { drawFiles, drawFolders, drawStores } from "./places.js";
import { STATES, concerns } from "./words.js";

const ENTRIES_EVERY = 10000; // ms: the daemon counts them
const ATTENTION = 6; // items of each kind that are shown at the top

const view = {
  status: null,
  running: new Map(), // transfer id -> transfer
  page: { items: [], cursor: null },
  attention: { items: [], more: false },
  entries: null, // their first page
  entriesAt: -Infinity, // Date.now() of it
  place: placeOf(location.search, history.state),
};
const loop = new Loop({
  request, onEvent, draw: drawAll, isMoving: () => view.running.size > 0, hasData: () => view.status !== null,
});

// ── requests ────────────────────────────────────────────────────────────────────────────────────────
async function request() {
  const { place } = view;
  const status = await loop.feed.ask("api/v1/status");
  const page = await requestPage((path) => loop.feed.ask(path), place);
  view.status = status;
  view.running = new Map(status.running.map((one) => [one.transfer_id, ahead(one)]));
  if (place === view.place) view.page = page;
  view.attention = await attention(status.totals);
  if (Date.now() - view.entriesAt < ENTRIES_EVERY) return;
  view.entries = await loop.feed.ask("api/v1/entries?limit=100");
  view.entriesAt = Date.now();
}

async function attention(totals) {
  const states = ["Blocked", "Retrying"].filter((state) => totals[state]);
  const pages = await Promise.all(states.map((state) => loop.feed.ask(`api/v1/items?state=${state}&sort=-since&limit=${ATTENTION}`)));
  return { items: pages.flatMap((page) => page.items), more: pages.some((page) => page.cursor !== null) };
}

// A response may be older than the events that arrived in the meantime.
function ahead(transfer) {
  const known = view.running.get(transfer.transfer_id);
  if (!known) return transfer;
  return { ...transfer, bytes_read: Math.max(known.bytes_read, transfer.bytes_read), bytes_sent: Math.max(known.bytes_sent, transfer.bytes_sent) };
}

// ── events ───────────────────────────────────────────────────────────────────────────────────────
function onEvent(name, event) {
  const transfer = view.running.get(event.transfer_id);
  if (name === "transfer.progress" && transfer) {
    Object.assign(transfer, { bytes_read: event.bytes_read, bytes_sent: event.bytes_sent, size: event.size });
    drawMoving();
    return true;
  }
  if (["transfer.completed", "transfer.failed", "transfer.interrupted"].includes(name)) view.running.delete(event.transfer_id);
  return false;
}

// ── drawing ───────────────────────────────────────────────────────────────────────────────────────
function drawAll(now, link) {
  draw.drawTitle(view.status, link);
  if (!view.status) return;
  draw.drawSummary(view.status);
  draw.drawTotals(view.status, view.place.state, (state) => go({ state }));
  drawMoving();
  draw.drawAttention(concerns(view.status, view.attention.items, now), view.attention.more);
  const { positions, shared } = view.place;
  draw.drawItems(view.page, { number: shared ? null : positions.length, first: positions.length === 1, filtered: isFiltered(view.place) }, now);
  draw.drawStart(view.status);
  drawEntries(view.entries, now);
  drawHour(view.status.sent_by_minute);
  drawFiles(view.status.files, now);
  drawFolders(view.status.folders, now);
  drawStores(view.status, now);
  draw.drawReceivers(view.status);
  draw.drawProxies(view.status.proxies);
  draw.drawAbout(view.status, now);
}

const drawMoving = () => draw.drawMoving([...view.running.values()], view.status.totals);

// ── filter and place ──────────────────────────────────────────────────────────────────────────────
// Each change is a step of the browser's history, except for the letters of one word.
function go(change, isSameStep = false) {
  show(fromTheStart({ ...view.place, ...change }), isSameStep);
}

function turn(positions) {
  show({ ...view.place, positions }, false);
  at("items-title").focus();
}

function show(place, isSameStep) {
  view.place = place;
  history[isSameStep ? "replaceState" : "pushState"](place.positions, "", addressOf(place));
  fillFilter();
  loop.update();
}

const sortButtons = () => document.querySelectorAll("th [data-first]");

function fillFilter() {
  for (const button of sortButtons()) {
    const direction = directionOf(view.place.order, button.dataset.first.replace("-", ""));
    if (direction) button.parentElement.setAttribute("aria-sort", direction);
    else button.parentElement.removeAttribute("aria-sort");
  }
  for (const [id, value] of [["filter-state", "state"], ["filter-entry", "entry"], ["filter-text", "text"], ["filter-order", "order"]]) {
    if (document.activeElement !== at(id) || at(id).tagName === "SELECT") at(id).value = view.place[value];
  }
}

// Typing: the list follows after a pause; further letters are the same step.
function listenToText(id, name) {
  let typing = null;
  let isSameStep = false;
  at(id).addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => {
      const text = at(id).value.trim();
      if (text === view.place[name]) return;
      go({ [name]: text }, isSameStep);
      isSameStep = true;
    }, 250);
  });
  at(id).addEventListener("focus", () => (isSameStep = false));
}

function listen() {
  for (const state of STATES) at("filter-state").add(new Option(state, state));
  for (const [order, text] of Object.entries(ORDERS)) at("filter-order").add(new Option(text, order));
  at("filter-state").addEventListener("change", (event) => go({ state: event.target.value }));
  at("filter-order").addEventListener("change", (event) => go({ order: event.target.value }));
  for (const button of sortButtons()) button.addEventListener("click", () => go({ order: turned(view.place.order, button.dataset.first) }));
  listenToText("filter-entry", "entry");
  listenToText("filter-text", "text");
  fillFilter();
  at("filter").addEventListener("submit", (event) => event.preventDefault());
  at("page-next").addEventListener("click", () => view.page.cursor && turn([...view.place.positions, view.page.cursor]));
  at("page-back").addEventListener("click", () => view.place.positions.length > 1 && turn(view.place.positions.slice(0, -1)));
  addEventListener("popstate", (event) => {
    document.activeElement?.blur?.();
    view.place = placeOf(location.search, event.state);
    fillFilter();
    loop.update();
  });
}

listen();
loop.start();
