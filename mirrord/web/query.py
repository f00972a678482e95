"""The query of the list of items. Any other query is a ValueError with the expected form."""

from collections.abc import Mapping
from dataclasses import fields

from mirrord.frozen import frozen
from mirrord.model import State

LONGEST = 1024
"""Characters of one value: as long as a key."""
MOST = 1000
"""Items of one page."""


@frozen(kw_only=True)
class ItemsQuery:
    """The arguments of `ports.Control.items`; `q` is its `text`."""

    state: State | None = None
    entry: str | None = None
    q: str | None = None
    cursor: str | None = None
    limit: int = 100


def items_query(pairs: list[tuple[str, str]]) -> ItemsQuery:
    """From the query's pairs in their order. An empty value counts as absent."""
    query = _once(pairs)
    _known(query)
    texts = {name: query[name] for name in ("entry", "q", "cursor") if query.get(name)}
    return ItemsQuery(state=_state(query.get("state", "")), limit=_limit(query.get("limit", "")), **texts)


def no_parameters(pairs: list[tuple[str, str]]) -> None:
    """For paths without parameters."""
    if pairs:
        raise ValueError(f"{pairs[0][0]!r} is no parameter of this path: it has none")


def _once(pairs: list[tuple[str, str]]) -> dict[str, str]:
    query: dict[str, str] = {}
    for name, value in pairs:
        if name in query:
            raise ValueError(f"{name!r} stands twice in the query: give it once")
        if len(value) > LONGEST:
            raise ValueError(f"{name!r} has {len(value)} characters: at most {LONGEST} are read")
        query[name] = value
    return query


def _known(query: Mapping[str, str]) -> None:
    names = [one.name for one in fields(ItemsQuery)]
    for name in query:
        if name not in names:
            raise ValueError(f"{name!r} is no parameter of this path: it has {', '.join(names)}")


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
