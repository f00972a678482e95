"""The queries of the lists of items and of entries. Any other query is a ValueError with the expected form.

Owns the form of cursors: each says where the page before it ended, so that items and entries that come and go between
two pages neither hide nor repeat others.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Mapping
from dataclasses import fields

from mirrord.frozen import frozen
from mirrord.model import State

LONGEST = 4096
"""Characters of one value: longer than a cursor of the name of an entry, which may be an address with a key."""
MOST = 1000
"""Items or entries of one page."""
ITEM_ID = "^[0-9a-f]{16}$"
"""An item's id; also the cursor after it."""


@frozen(kw_only=True)
class ItemsQuery:
    """The arguments of `ports.Control.items`; `q` is its `text`."""

    state: State | None = None
    entry: str | None = None
    q: str | None = None
    cursor: str | None = None
    limit: int = 100


@frozen(kw_only=True)
class EntriesQuery:
    """The arguments of `ports.Control.entries`; the cursor is the name in it."""

    cursor: str | None = None
    limit: int = 100


def items_query(pairs: list[tuple[str, str]]) -> ItemsQuery:
    """From the query's pairs in their order. An empty value counts as absent."""
    query = _checked(pairs, [one.name for one in fields(ItemsQuery)])
    texts = {name: query[name] for name in ("entry", "q", "cursor") if query.get(name)}
    if "cursor" in texts and not re.fullmatch(ITEM_ID, texts["cursor"]):
        raise _no_cursor(texts["cursor"])
    return ItemsQuery(state=_state(query.get("state", "")), limit=_limit(query.get("limit", "")), **texts)


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
