// One page of the list of items, and the place of a list in the address: filter, order and position.

import { Refusal } from "./feed.js";
import { STATES } from "./words.js";

const PAGE_SIZE = 50;
// The orders by the API's names, for people without the headers of columns (phones).
export const ORDERS = {
  state: "State, worst first", "-state": "State, best first",
  object: "Object, A to Z", "-object": "Object, Z to A",
  "-since": "Changed last", since: "Changed first",
  "-copied": "Copied last", copied: "Copied first",
  "-size": "Largest", size: "Smallest",
  id: "Id",
};
const DEFAULT = "state";
const FIRST = [""]; // the positions of the pages up to the current one, here the first one

// The filter and the positions that an address has. `known` are the positions that this tab came from.
export function placeOf(search, known) {
  const query = new URLSearchParams(search);
  const after = query.get("after") ?? "";
  return {
    state: STATES.includes(query.get("state")) ? query.get("state") : "",
    entry: query.get("entry") ?? "",
    text: query.get("q") ?? "",
    order: Object.hasOwn(ORDERS, query.get("sort")) ? query.get("sort") : DEFAULT,
    positions: known?.at(-1) === after ? known : after ? [...FIRST, after] : FIRST,
    shared: Boolean(after) && !known, // the address came from elsewhere: the number of its page is not known
  };
}

export function addressOf(place) {
  const query = new URLSearchParams();
  if (place.state) query.set("state", place.state);
  if (place.entry) query.set("entry", place.entry);
  if (place.text) query.set("q", place.text);
  if (place.order !== DEFAULT) query.set("sort", place.order);
  if (place.positions.at(-1)) query.set("after", place.positions.at(-1));
  return query.size ? `?${query}` : location.pathname;
}

export const fromTheStart = (place) => ({ ...place, positions: FIRST, shared: false });

export const isFiltered = (place) => Boolean(place.state || place.entry || place.text);

// The order after a click on the header of a column: its first order, then the reverse.
export const turned = (order, first) => (order !== first ? first : first.startsWith("-") ? first.slice(1) : `-${first}`);

// ascending, descending, or null: the list is not sorted by this column.
export function directionOf(order, column) {
  if (order.replace("-", "") !== column) return null;
  return order.startsWith("-") ? "descending" : "ascending";
}

// The items of a page, and the position of the next one or null. A position that the daemon refuses is the first one.
export async function requestPage(ask, place) {
  try {
    return await ask(queryOf(place, place.positions.at(-1)));
  } catch (error) {
    if (!(error instanceof Refusal && error.status === 400 && place.positions.at(-1))) throw error;
    return ask(queryOf(place, ""));
  }
}

function queryOf(place, cursor) {
  const query = new URLSearchParams({ sort: place.order, limit: PAGE_SIZE });
  if (place.state) query.set("state", place.state);
  if (place.entry) query.set("entry", place.entry);
  if (place.text) query.set("q", place.text);
  if (cursor) query.set("cursor", cursor);
  return `api/v1/items?${query}`;
}
