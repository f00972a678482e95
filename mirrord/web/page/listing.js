// One page of the list of items, and the place of a list in the address: filter, order and position.

import { Refusal } from "./feed.js";
import { STATES } from "./words.js";

const PAGE_SIZE = 50;
export const ORDERS = { state: "State", id: "Id" };
const FIRST = [""]; // the positions of the pages up to the current one, here the first one

// The filter and the positions that an address has. `known` are the positions that this tab came from.
export function placeOf(search, known) {
  const query = new URLSearchParams(search);
  const after = query.get("after") ?? "";
  return {
    state: STATES.includes(query.get("state")) ? query.get("state") : "",
    entry: query.get("entry") ?? "",
    text: query.get("q") ?? "",
    order: query.get("sort") in ORDERS ? query.get("sort") : "state",
    positions: known?.at(-1) === after ? known : after ? [...FIRST, after] : FIRST,
    shared: Boolean(after) && !known, // the address came from elsewhere: the number of its page is not known
  };
}

export function addressOf(place) {
  const query = new URLSearchParams();
  if (place.state) query.set("state", place.state);
  if (place.entry) query.set("entry", place.entry);
  if (place.text) query.set("q", place.text);
  if (place.order !== "state") query.set("sort", place.order);
  if (place.positions.at(-1)) query.set("after", place.positions.at(-1));
  return query.size ? `?${query}` : location.pathname;
}

export const fromTheStart = (place) => ({ ...place, positions: FIRST, shared: false });

export const isFiltered = (place) => Boolean(place.state || place.entry || place.text);

// The items of a page, and the position of the next one or null. A position that the daemon refuses is the first one.
export async function requestPage(ask, place, totals) {
  try {
    return await pageAt(ask, place, totals, place.positions.at(-1));
  } catch (error) {
    if (!(error instanceof Refusal && error.status === 400 && place.positions.at(-1))) throw error;
    return pageAt(ask, place, totals, "");
  }
}

async function pageAt(ask, place, totals, position) {
  if (place.state || place.order === "id") {
    const page = await ask(queryOf(place, place.state, position, PAGE_SIZE));
    return place.order === "id" ? page : { ...page, items: newestFirst(page.items) };
  }
  return pageByState(ask, place, totals, position);
}

// The daemon lists by id: in the order of states each state is a list of its own. A position is "State.cursor".
async function pageByState(ask, place, totals, position) {
  const [from, ...rest] = position.split(".");
  const states = STATES.slice(Math.max(0, STATES.indexOf(from))).filter((state) => totals[state] || state === from);
  let cursor = STATES.includes(from) ? rest.join(".") : "";
  const items = [];
  for (const state of states) {
    if (items.length === PAGE_SIZE) return { items: newestFirst(items), cursor: `${state}.` };
    const page = await ask(queryOf(place, state, cursor, PAGE_SIZE - items.length));
    items.push(...page.items);
    if (page.cursor !== null) return { items: newestFirst(items), cursor: `${state}.${page.cursor}` };
    cursor = "";
  }
  return { items: newestFirst(items), cursor: null };
}

// By state, and of each state the item that changed last first.
const newestFirst = (items) =>
  [...items].sort((one, other) => STATES.indexOf(one.state) - STATES.indexOf(other.state) || other.since - one.since);

function queryOf(place, state, cursor, limit) {
  const query = new URLSearchParams({ limit });
  if (state) query.set("state", state);
  if (place.entry) query.set("entry", place.entry);
  if (place.text) query.set("q", place.text);
  if (cursor) query.set("cursor", cursor);
  return `api/v1/items?${query}`;
}
