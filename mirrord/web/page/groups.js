// Draws the entries as groups, and what was sent in the last hour.

import { at, keep, make, part, parts, setLink, setText } from "./dom.js";
import { STATES, ago, count, size, span, things } from "./words.js";

const CHART = { width: 600, height: 60, gap: 2 }; // in the units of the drawing

// ── entries ───────────────────────────────────────────────────────────────────────────────────────
// `page` is the first page of the entries, null before it is known. An entry with one item only is in the list of items.
export function drawEntries(page, now) {
  const groups = page?.entries.filter((one) => one.kind !== "mirror" || one.items > 1) ?? [];
  at("entries").hidden = !groups.length;
  keep(at("entries-list"), groups, (one) => one.name, buildEntry, (card, one) => updateEntry(card, one, now));
  at("entries-more").hidden = !page || page.cursor === null;
}

function buildEntry() {
  const card = parts("li", "name", "numbers", "why");
  const share = make("div", "share");
  share.setAttribute("aria-hidden", "true");
  part(card, "name").after(share);
  return card;
}

function updateEntry(card, one, now) {
  card.className = one.problems.length ? "bad" : "";
  setLink(part(card, "name"), `?${new URLSearchParams({ entry: one.name })}`, one.name);
  const shown = STATES.filter((state) => one.states[state]).reverse();
  keep(part(card, "share"), shown, (state) => state, (state) => make("span", state), (piece, state) => {
    piece.style.flexGrow = String(one.states[state]);
  });
  setText(part(card, "numbers"), entryText(one, now));
  setText(part(card, "why"), one.problems.join("; "));
}

function entryText(one, now) {
  const others = STATES.filter((state) => state !== "Synced" && one.states[state]);
  return [
    one.kind,
    `${count(one.states.Synced ?? 0)} of ${things(one.items, "item")} up to date`,
    ...others.map((state) => `${count(one.states[state])} ${state.toLowerCase()}`),
    one.size ? size(one.size) : "",
    one.last_pass === null ? "" : `read ${ago(one.last_pass, now)}`,
    one.staleness === null ? "" : `equal to the source ${span(one.staleness)} ago or later`,
  ].filter(Boolean).join(" · ");
}

// ── the last hour ─────────────────────────────────────────────────────────────────────────────────
export function drawHour(minutes) {
  const sum = minutes.reduce((whole, one) => whole + one, 0);
  const most = Math.max(1, ...minutes);
  at("hour").hidden = !sum;
  setText(at("hour-text"), `${size(sum)} sent in the last hour, at most ${size(most / 60)}/s in one minute`);
  const step = CHART.width / Math.max(1, minutes.length);
  const bars = minutes.map((sent, minute) => ({ minute, height: sent ? Math.max(2, (CHART.height * sent) / most) : 0 }));
  keep(at("hour-bars"), bars, (one) => one.minute, buildBar, (bar, { minute, height }) => {
    const place = { x: minute * step, y: CHART.height - height, width: step - CHART.gap, height };
    for (const [name, value] of Object.entries(place)) bar.setAttribute(name, String(value));
  });
}

const buildBar = () => document.createElementNS("http://www.w3.org/2000/svg", "rect");
