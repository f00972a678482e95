"""The orders in which items are listed by their records, and the place of an item in them. Pure."""

from enum import StrEnum
from typing import NamedTuple

from mirrord.model.kinds import State
from mirrord.model.recorded import Record

STATE_ORDER = (
    State.BLOCKED,
    State.RETRYING,
    State.TRANSFERRING,
    State.PENDING,
    State.WAITING,
    State.SUSPENDED,
    State.SYNCED,
)
"""The states, those that need attention first."""

_NONE_ASCENDING, _NONE_DESCENDING = 9e18, -1.0
"""The value of an item without one: it is last in both directions. Larger than any size and time, less than any."""


class ItemFilter(NamedTuple):
    """Which items are listed: all that fit each part that is not None. `text` is searched in key, source and entry,
    ignoring case."""

    state: State | None = None
    entry: str | None = None
    text: str | None = None


EVERY = ItemFilter()


class SortKey(StrEnum):
    """What items are sorted by: the object's address, when their state began, when they were copied, their size."""

    OBJECT = "object"
    SINCE = "since"
    COPIED = "copied"
    SIZE = "size"


class ItemPlace(NamedTuple):
    """The place of an item in an order: its value, and its id where values are equal. `state`: in an order of states,
    the one that it is listed under."""

    value: float | str
    item_id: str
    state: State | None = None


class ItemOrder(NamedTuple):
    """By `by`, then by id. With `states` first by these states, in their order."""

    by: SortKey
    descending: bool = False
    states: tuple[State, ...] = ()

    @property
    def missing(self) -> float:
        """The value of an item that has none."""
        return _NONE_DESCENDING if self.descending else _NONE_ASCENDING

    def value(self, *, destination: str, since: float, copied: float | None, size: int | None) -> float | str:
        """The value of an item. Texts compare by code points."""
        if self.by is SortKey.OBJECT:
            return destination
        number = {SortKey.SINCE: since, SortKey.COPIED: copied, SortKey.SIZE: size}[self.by]
        return self.missing if number is None else float(number)

    def place_of(self, record: Record) -> ItemPlace:
        """The place of an item as it is recorded."""
        known = record.object
        value = self.value(
            destination=str(record.destination), since=record.condition.since, copied=known.synced_at, size=known.size
        )
        return ItemPlace(value, record.item_id, record.condition.state)

    def is_after(self, place: ItemPlace, after: ItemPlace | None) -> bool:
        """Whether the place is behind the other one, within one state; None is before every place."""
        if after is None:
            return True
        mine, other = place[:2], after[:2]
        return mine < other if self.descending else mine > other
