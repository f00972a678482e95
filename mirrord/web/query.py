"""The queries of the lists of items and of entries. Any other query is a ValueError with the expected form.

Owns the form of cursors: each says where the page before it ended, so that items and entries that come and go between
two pages neither hide nor repeat others.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Mapping
from dataclasses import fields
from math import isfinite

from mirrord.frozen import frozen
from mirrord.model import STATE_ORDER, ItemOrder, ItemPlace, SortKey, State

LONGEST = 4096
"""Characters of one value: longer than a cursor of the name of an entry, which may be an address with a key."""
MOST = 1000
"""Items or entries of one page."""
ITEM_ID = "^[0-9a-f]{16}$"
"""An item's id; also the cursor after it."""


SORTS: Mapping[str, ItemOrder | None] = {
    "id": None,
    "state": ItemOrder(SortKey.SINCE, descending=True, states=STATE_ORDER),
    "-state": ItemOrder(SortKey.SINCE, descending=True, states=STATE_ORDER[::-1]),
    **{key.value: ItemOrder(key) for key in SortKey},
    **{f"-{key.value}": ItemOrder(key, descending=True) for key in SortKey},
}
"""The orders of items; with a minus descending. None: by id."""


@frozen(kw_only=True)
class ItemsQuery:
    """The arguments of `ports.Control.items`, or, with `order`, of `sorted_items`; `q` is the text."""

    state: State | None = None
    entry: str | None = None
    q: str | None = None
    sort: str = "id"
    cursor: str | None = None
    limit: int = 100

    @property
    def order(self) -> ItemOrder | None:
        """None: by id."""
        return SORTS[self.sort]

    @property
    def place(self) -> ItemPlace | None:
        """The place that the cursor of an order names."""
        return None if self.cursor is None or self.order is None else _place(self.cursor, self.order)


@frozen(kw_only=True)
class EntriesQuery:
    """The arguments of `ports.Control.entries`; the cursor is the name in it."""

    cursor: str | None = None
    limit: int = 100


def items_query(pairs: list[tuple[str, str]]) -> ItemsQuery:
    """From the query's pairs in their order. An empty value counts as absent."""
    query = _checked(pairs, [one.name for one in fields(ItemsQuery)])
    texts = {name: query[name] for name in ("entry", "q", "cursor") if query.get(name)}
    sort = query.get("sort") or "id"
    if sort not in SORTS:
        raise ValueError(f"{sort[:100]!r} is no order: write one of {', '.join(SORTS)}")
    found = ItemsQuery(state=_state(query.get("state", "")), limit=_limit(query.get("limit", "")), sort=sort, **texts)
    if found.cursor is not None and found.order is not None:
        _place(found.cursor, found.order)
    elif found.cursor is not None and not re.fullmatch(ITEM_ID, found.cursor):
        raise _no_cursor(found.cursor)
    return found


def entries_query(pairs: list[tuple[str, str]]) -> EntriesQuery:
    """From the query's pairs in their order. An empty value counts as absent."""
    query = _checked(pairs, [one.name for one in fields(EntriesQuery)])
    cursor = query.get("cursor", "")
    return EntriesQuery(cursor=_named(cursor) if cursor else None, limit=_limit(query.get("limit", "")))


def no_parameters(pairs: list[tuple[str, str]]) -> None:
    """For paths without parameters."""
    _checked(pairs, ())


def cursor_of(name: str) -> str:
    """The cursor after the entry of this name."""
    return urlsafe_b64encode(name.encode("utf-8", "surrogatepass")).decode().rstrip("=")


def cursor_of_place(place: ItemPlace, order: ItemOrder) -> str:
    """The cursor after the item at this place of the order."""
    return cursor_of(f"{place.value}\n{place.item_id}\n{place.state if place.state and order.states else ''}")


def _place(cursor: str, order: ItemOrder) -> ItemPlace:
    """The place of `cursor_of_place`; any other text is a ValueError."""
    try:
        value, item_id, state = _named(cursor).rsplit("\n", 2)
        number = 0.0 if order.by is SortKey.OBJECT else float(value)
        place = ItemPlace(value if order.by is SortKey.OBJECT else number, item_id, State(state) if state else None)
    except ValueError:
        raise _no_cursor(cursor) from None
    fits = isfinite(number) and re.fullmatch(ITEM_ID, item_id) and bool(state) is bool(order.states)
    if not fits or cursor_of_place(place, order) != cursor:
        raise _no_cursor(cursor)
    return place


def _named(cursor: str) -> str:
    try:
        name = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("utf-8", "surrogatepass")
    except ValueError:
        raise _no_cursor(cursor) from None
    if cursor_of(name) != cursor:
        raise _no_cursor(cursor)
    return name


def _no_cursor(text: str) -> ValueError:
    return ValueError(f"cursor is {text[:100]!r}: send the one that the page before this one has")


def _checked(pairs: list[tuple[str, str]], names: Collection[str]) -> Mapping[str, str]:
    """Each parameter once, of these names, and not too long."""
    query: dict[str, str] = {}
    for name, value in pairs:
        if name not in names:
            raise ValueError(f"{name[:100]!r} is no parameter of this path: it has {', '.join(names) or 'none'}")
        if name in query:
            raise ValueError(f"{name!r} stands twice in the query: give it once")
        if len(value) > LONGEST:
            raise ValueError(f"{name!r} has {len(value)} characters: at most {LONGEST} are read")
        query[name] = value
    return query


def _state(text: str) -> State | None:
    if not text:
        return None
    try:
        return State(text)
    except ValueError:
        raise ValueError(f"{text!r} is no state: write one of {', '.join(State)}") from None


def _limit(text: str) -> int:
    if not text:
        return ItemsQuery().limit
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= MOST):
        raise ValueError(f"limit is {text!r}: write a number from 1 to {MOST}")
    return int(text)
