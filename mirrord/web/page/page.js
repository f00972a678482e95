// The status page: requests the status, receives events, draws, and reports when the daemon does not answer.

import * as draw from "./draw.js";
import { Feed } from "./feed.js";
import { STATES, concerns, span } from "./words.js";

const PAGE_SIZE = 50;
const ATTENTION = 6; // items of each kind that are shown at the top
const EVERY = { moving: 2000, calm: 5000, polling: 2000, hidden: 15000 }; // ms between two updates
const SOON = 500; // ms from an event to the update that it causes, so that a burst causes one update
const SILENCE = 9000; // ms without a response or event after which the daemon counts as gone

const initial = new URLSearchParams(location.search);
const view = {
  status: null,
  running: new Map(), // transfer id -> transfer
  page: { items: [], cursor: null },
  attention: { items: [], more: false },
  state: STATES.includes(initial.get("state")) ? initial.get("state") : "",
  text: initial.get("q") ?? "",
  cursors: [""], // the cursor of each page up to this one
  unreachable: false,
  failure: "", // the daemon's message when it answered with an error
};
const feed = new Feed(onEvent, onStream);
let timer = null;
let updating = false;
let updateAgain = false;
let newsAt = 0; // Date.now() of the last event

// ── requests ────────────────────────────────────────────────────────────────────────────────────────
async function update() {
  if (updating) {
    updateAgain = true;
    return;
  }
  clearTimeout(timer);
  updating = true;
  updateAgain = false;
  try {
    await updateOnce();
    view.unreachable = false;
    view.failure = "";
  } catch (error) {
    view.unreachable = error instanceof TypeError || error instanceof DOMException || error instanceof SyntaxError;
    view.failure = view.unreachable ? "" : error.message;
  }
  updating = false;
  drawAll();
  updateIn(updateAgain ? SOON : pause());
}

async function updateOnce() {
  const query = itemsQuery();
  const [status, page] = await Promise.all([feed.ask("api/v1/status"), feed.ask(`api/v1/items?${query}`)]);
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
  const pages = await Promise.all(states.map((state) => feed.ask(`api/v1/items?state=${state}&limit=${ATTENTION}`)));
  return { items: pages.flatMap((page) => page.items), more: pages.some((page) => page.cursor !== null) };
}

// A response may be older than the events that arrived in the meantime.
function ahead(transfer) {
  const known = view.running.get(transfer.transfer_id);
  if (!known) return transfer;
  return { ...transfer, bytes_read: Math.max(known.bytes_read, transfer.bytes_read), bytes_sent: Math.max(known.bytes_sent, transfer.bytes_sent) };
}

function pause() {
  if (document.hidden) return EVERY.hidden;
  if (!feed.streaming || view.unreachable || view.failure) return EVERY.polling;
  const fresh = Date.now() - newsAt < EVERY.moving; // totals received just after an event may be older than it
  return fresh || view.running.size ? EVERY.moving : EVERY.calm;
}

function updateIn(delay) {
  clearTimeout(timer);
  timer = setTimeout(update, delay);
  timerDue = Date.now() + delay;
}
let timerDue = Infinity;

function updateSoon() {
  if (updating) updateAgain = true;
  else if (timerDue > Date.now() + SOON) updateIn(SOON);
}

// ── events ───────────────────────────────────────────────────────────────────────────────────────
function onEvent(name, event) {
  newsAt = Date.now();
  const transfer = view.running.get(event.transfer_id);
  if (name === "transfer.progress" && transfer) {
    Object.assign(transfer, { bytes_read: event.bytes_read, bytes_sent: event.bytes_sent, size: event.size });
    drawMoving();
    return;
  }
  if (["transfer.completed", "transfer.failed", "transfer.interrupted"].includes(name)) view.running.delete(event.transfer_id);
  updateSoon();
}

function onStream() {
  drawLink();
  update();
}

// ── drawing ───────────────────────────────────────────────────────────────────────────────────────
function drawAll() {
  drawLink();
  if (!view.status) return;
  const now = gone() ? feed.answeredAt / 1000 + feed.skew / 1000 : feed.now(); // ages stop when the data is not updated
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

const gone = () => view.unreachable || (feed.answeredAt !== null && Date.now() - feed.answeredAt > SILENCE && !document.hidden);

function drawLink() {
  const link = linkState();
  draw.drawLink(link);
  draw.at("token").hidden = !feed.needsToken;
  draw.drawTitle(view.status, link);
}

function linkState() {
  const heard = feed.answeredAt === null ? "never heard" : `last heard ${span((Date.now() - feed.answeredAt) / 1000)} ago`;
  if (gone()) {
    const then = view.status ? "What is shown below was true then." : "";
    return { state: "gone", text: `no answer, ${heard}`, notice: "mirrord does not answer.", age: `${capital(heard)}. ${then}` };
  }
  if (feed.needsToken) return { state: "waiting", text: "reading needs a token", notice: "", age: "" };
  if (view.failure) return { state: "gone", text: "failing", notice: `mirrord answers, but cannot say how things stand: ${view.failure}`, age: "" };
  if (feed.answeredAt === null) return { state: "waiting", text: "connecting …", notice: "", age: "" };
  if (feed.streaming) return { state: "live", text: "live", notice: "", age: "" };
  return { state: "polling", text: `no stream, asking every ${EVERY.polling / 1000} s`, notice: "", age: "" };
}

const capital = (text) => text[0].toUpperCase() + text.slice(1);

// ── the filter ────────────────────────────────────────────────────────────────────────────────────
function choose(state) {
  view.state = state;
  draw.at("filter-state").value = state;
  fromTheStart();
}

function fromTheStart() {
  view.cursors = [""];
  const query = new URLSearchParams();
  if (view.state) query.set("state", view.state);
  if (view.text) query.set("q", view.text);
  history.replaceState(null, "", query.size ? `?${query}` : location.pathname);
  update();
}

function turn(cursors) {
  view.cursors = cursors;
  update();
  draw.at("items-title").focus();
}

function listen() {
  const select = draw.at("filter-state");
  for (const state of STATES) select.add(new Option(state, state));
  select.value = view.state;
  select.addEventListener("change", () => choose(select.value));
  const text = draw.at("filter-text");
  text.value = view.text;
  let typing = null;
  text.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => {
      view.text = text.value.trim();
      fromTheStart();
    }, 250);
  });
  draw.at("token").addEventListener("submit", (event) => {
    event.preventDefault();
    feed.use(draw.at("token-text").value);
    draw.at("token-text").value = "";
    update();
  });
  draw.at("filter").addEventListener("submit", (event) => event.preventDefault());
  draw.at("page-next").addEventListener("click", () => view.page.cursor && turn([...view.cursors, view.page.cursor]));
  draw.at("page-back").addEventListener("click", () => view.cursors.length > 1 && turn(view.cursors.slice(0, -1)));
  document.addEventListener("visibilitychange", onVisibility);
}

// A browser has six connections to a host: a hidden page closes its stream, and polls slowly.
function onVisibility() {
  if (document.hidden) feed.close();
  else {
    feed.open();
    update();
  }
}

listen();
if (!document.hidden) feed.open();
update();
setInterval(drawAll, 1000);
