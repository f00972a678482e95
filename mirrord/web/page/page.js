// The status page: requests the status and one page of items, and keeps the filter in the address.

import { at } from "./dom.js";
import * as draw from "./draw.js";
import { Loop } from "./loop.js";
import { STATES, concerns } from "./words.js";

const PAGE_SIZE = 50;
const ATTENTION = 6; // items of each kind that are shown at the top

const initial = new URLSearchParams(location.search);
const view = {
  status: null,
  running: new Map(), // transfer id -> transfer
  page: { items: [], cursor: null },
  attention: { items: [], more: false },
  state: STATES.includes(initial.get("state")) ? initial.get("state") : "",
  text: initial.get("q") ?? "",
  cursors: [""], // the cursor of each page up to this one
};
const loop = new Loop({
  request, onEvent, draw: drawAll, isMoving: () => view.running.size > 0, hasData: () => view.status !== null,
});

// ── requests ────────────────────────────────────────────────────────────────────────────────────────
async function request() {
  const query = itemsQuery();
  const [status, page] = await Promise.all([loop.feed.ask("api/v1/status"), loop.feed.ask(`api/v1/items?${query}`)]);
  view.status = status;
  view.running = new Map(status.running.map((one) => [one.transfer_id, ahead(one)]));
  if (query === itemsQuery()) view.page = page;
  view.attention = await attention(status.totals);
}

// The query of the current page of items: filter and cursor.
function itemsQuery() {
  const query = new URLSearchParams({ limit: PAGE_SIZE });
  if (view.state) query.set("state", view.state);
  if (view.text) query.set("q", view.text);
  if (view.cursors.at(-1)) query.set("cursor", view.cursors.at(-1));
  return query.toString();
}

async function attention(totals) {
  const states = ["Blocked", "Retrying"].filter((state) => totals[state]);
  const pages = await Promise.all(states.map((state) => loop.feed.ask(`api/v1/items?state=${state}&limit=${ATTENTION}`)));
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
  draw.drawTotals(view.status, view.state, choose);
  drawMoving();
  draw.drawAttention(concerns(view.status, view.attention.items, now), view.attention.more);
  draw.drawItems(view.page, { number: view.cursors.length, filtered: Boolean(view.state || view.text) }, now);
  draw.drawFiles(view.status.files, now);
  draw.drawFolders(view.status.folders, now);
  draw.drawStores(view.status.stores);
  draw.drawReceivers(view.status);
  draw.drawProxies(view.status.proxies);
  draw.drawAbout(view.status, now);
}

const drawMoving = () => draw.drawMoving([...view.running.values()], view.status.totals);

// ── the filter ────────────────────────────────────────────────────────────────────────────────────
function choose(state) {
  view.state = state;
  at("filter-state").value = state;
  fromTheStart();
}

function fromTheStart() {
  view.cursors = [""];
  const query = new URLSearchParams();
  if (view.state) query.set("state", view.state);
  if (view.text) query.set("q", view.text);
  history.replaceState(null, "", query.size ? `?${query}` : location.pathname);
  loop.update();
}

function turn(cursors) {
  view.cursors = cursors;
  loop.update();
  at("items-title").focus();
}

function listen() {
  const select = at("filter-state");
  for (const state of STATES) select.add(new Option(state, state));
  select.value = view.state;
  select.addEventListener("change", () => choose(select.value));
  const text = at("filter-text");
  text.value = view.text;
  let typing = null;
  text.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => {
      view.text = text.value.trim();
      fromTheStart();
    }, 250);
  });
  at("filter").addEventListener("submit", (event) => event.preventDefault());
  at("page-next").addEventListener("click", () => view.page.cursor && turn([...view.cursors, view.page.cursor]));
  at("page-back").addEventListener("click", () => view.cursors.length > 1 && turn(view.cursors.slice(0, -1)));
}

listen();
loop.start();
