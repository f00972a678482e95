// Elements of the pages. Texts are set as textContent only: a key or a message may contain anything.

import { moment, share } from "./words.js";

export const at = (id) => document.getElementById(id);

export function make(tag, className = "", text = null) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== null) made.textContent = text;
  return made;
}

// Invisible characters, and those that change the direction of text: shown as escapes.
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

export function plain(text) {
  return text.replace(UNSEEN, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

export function setText(element, shown) {
  const text = plain(shown);
  if (element.textContent !== text) element.textContent = text;
}

// Makes the children of `parent` show `list` in its order, and keeps the element of each key (and so focus and motion).
// A repeated key is made unique by its number of earlier occurrences.
export function keep(parent, list, keyOf, build, update) {
  const standing = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const times = new Map();
  let place = parent.firstElementChild;
  for (const one of list) {
    const time = times.get(keyOf(one)) ?? 0;
    times.set(keyOf(one), time + 1);
    const key = `${time} ${keyOf(one)}`;
    let child = standing.get(key);
    standing.delete(key);
    if (!child) {
      child = build(one);
      child.dataset.key = key;
    }
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
    update(child, one);
  }
  for (const gone of standing.values()) gone.remove();
}

export const part = (element, name) => element.querySelector(`.${name}`);

export function parts(tag, ...names) {
  const made = make(tag);
  for (const name of names) made.append(make("p", name));
  return made;
}

// Relative time in the text, absolute time on hover.
export function when(element, seconds, text) {
  setText(element, text);
  element.title = moment(seconds);
}

export const badge = (state) => make("span", `badge ${state}`, state);

export function setBadge(element, state) {
  if (element.textContent === state) return;
  element.className = `badge ${state}`;
  element.textContent = state;
}

// The name of an object, as a link to the page of its item.
export const setItemLink = (element, itemId, shown) => setLink(element, `items/${itemId}`, shown);

// A text as a link; `path` is relative to the status page.
export function setLink(element, path, shown) {
  const link = element.querySelector("a") ?? element.appendChild(make("a"));
  const address = new URL(path, new URL("./", import.meta.url)).href;
  if (link.href !== address) link.href = address;
  setText(link, shown);
}

// A progress bar: the bytes that the store has, over those that were read.
export function makeBar() {
  const bar = make("div", "bar");
  bar.setAttribute("role", "progressbar");
  bar.append(make("span", "read"), make("span", "sent"));
  return bar;
}

export function updateBar(bar, transfer) {
  const sent = share(transfer.bytes_sent, transfer.size);
  const read = share(transfer.bytes_read, transfer.size);
  bar.setAttribute("aria-label", plain(transfer.destination));
  bar.classList.toggle("unknown", sent === null);
  part(bar, "sent").style.width = `${100 * (sent ?? 0)}%`;
  part(bar, "read").style.width = `${100 * (read ?? 0)}%`;
  if (sent === null) bar.removeAttribute("aria-valuenow");
  else bar.setAttribute("aria-valuenow", String(Math.floor(100 * sent)));
}

// ── connection ────────────────────────────────────────────────────────────────────────────────────
export function drawLink(link) {
  document.body.dataset.link = link.state;
  setText(at("link-text"), link.text);
  at("gone").hidden = !link.notice;
  setText(at("gone-text"), link.notice);
  setText(at("gone-age"), link.age);
}
