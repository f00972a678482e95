"""The types of what rows of the journal contain: SQLite keeps a value of any type in any column, JSON any fields.

Owns the check of a row before it becomes an object. mirrord writes no other values, so another one is damage, or an
edit of the file by hand: JournalError (`guarded`), so that it reaches no decision, no request and no page.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache, wraps
from types import NoneType
from typing import Any, TypeVar

from mirrord.errors import JournalError
from mirrord.journal.sql.database import Row

_FARTHEST = 253_402_300_799.0
"""Seconds from the epoch to the end of the year 9999: later times cannot be shown."""
_MOST_KNOWN = 256
_OF_FILE = 5
"""Numbers of a file's identity."""

_DAMAGED = (
    "the journal is damaged: a row has values that mirrord never writes; move the journal away (of SQLite: with its "
    "-wal and -shm files; in PostgreSQL: name another database) and start again: every source is checked again, and "
    "nothing is deleted"
)

T = TypeVar("T")
RowOrText = TypeVar("RowOrText", Row, str)

_Allowed = tuple[type, ...]
_TEXT, _TEXT_OR_NONE = (str,), (str, NoneType)
_INT, _INT_OR_NONE = (int,), (int, NoneType)
_FLOAT, _FLOAT_OR_NONE = (float, int), (float, int, NoneType)


def guarded(convert: Callable[[RowOrText], T]) -> Callable[[RowOrText], T]:
    """`convert`, with JournalError for a row with values that mirrord never writes: the file is damaged."""

    @wraps(convert)
    def converted(row: RowOrText) -> T:
        try:
            return convert(row)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
            raise JournalError(_DAMAGED) from error

    return converted


class Columns:
    """What the columns of one kind of rows contain. `texts`, `texts_or_none`: names. `numbers`: by name, the types and
    the least and the largest value. Rows of one kind have their columns in one order."""

    def __init__(
        self, texts: str, texts_or_none: str = "", numbers: Mapping[str, tuple[_Allowed, float, float]] | None = None
    ) -> None:
        self._ranges = {name: (least, most) for name, (_, least, most) in (numbers or {}).items()}
        self._types: dict[str, _Allowed] = dict.fromkeys(texts.split(), _TEXT)
        self._types |= dict.fromkeys(texts_or_none.split(), _TEXT_OR_NONE)
        self._types |= {name: allowed for name, (allowed, _, _) in (numbers or {}).items()}
        self._known: dict[_Allowed, tuple[tuple[int, float, float], ...]] = {}
        """Of rows with these types: the numbers that are not NULL, by place, with the least and the largest value."""

    def check(self, row: Row) -> None:
        """Raise TypeError or ValueError if the row has other values. Most rows have the types of one before: to look
        these up costs 1 us, to compare each 9 us."""
        kinds = tuple(map(type, row))
        ranges = self._known.get(kinds)
        if ranges is None:
            ranges = self._checked_types(row)
            if len(self._known) < _MOST_KNOWN:
                self._known[kinds] = ranges
        for place, least, most in ranges:
            if not least <= row[place] <= most:
                raise ValueError(row.keys()[place])

    def _checked_types(self, row: Row) -> tuple[tuple[int, float, float], ...]:
        for name, allowed in self._types.items():
            if type(row[name]) not in allowed:
                raise TypeError(name)
        names = row.keys()
        return tuple((names.index(name), *limits) for name, limits in self._ranges.items() if row[name] is not None)


_TIME = (_FLOAT, -_FARTHEST, _FARTHEST)
_TIME_OR_NONE = (_FLOAT_OR_NONE, -_FARTHEST, _FARTHEST)
_COUNT = (_INT, 0, 2**63)
_COUNT_OR_NONE = (_INT_OR_NONE, 0, 2**63)
_POSITIVE = (_INT, 1, 2**63)
_POSITIVE_OR_NONE = (_INT_OR_NONE, 1, 2**63)

_DESTINATION = "store endpoint bucket key"
_OBJECT = "transfer_id etag listed_etag checksum_kind checksum_value integrity options_digest"
_OBJECT_NUMBERS = {
    "size": _COUNT_OR_NONE,
    "synced_at": _TIME_OR_NONE,
    "began": _TIME_OR_NONE,
    "etag_from_head": (_INT_OR_NONE, 0, 1),
}
ITEM = Columns(
    f"{_DESTINATION} item_id entry source state message",
    f"{_OBJECT} reason revision",
    {**_OBJECT_NUMBERS, "since": _TIME, **dict.fromkeys(("next_check", "removed", "dated"), _TIME_OR_NONE)},
)
PAST_OBJECT = Columns("entry source", f"{_OBJECT} revision", {**_OBJECT_NUMBERS, "until": _TIME})
FAILED_ATTEMPT = Columns("entry source state message", "reason", {"at": _TIME})
TRANSFER = Columns(
    f"{_DESTINATION} id item_id revision kind checksum_kind",
    "options_digest upload_id whole_kind whole_value",
    {
        "started": _TIME,
        **dict.fromkeys(("settled", "complete_requested"), _TIME_OR_NONE),
        **dict.fromkeys(("part_size", "largest_part", "growth_step"), _POSITIVE_OR_NONE),
    },
)
PART = Columns("etag", "checksum_kind checksum_value", {"number": _POSITIVE, "size": _COUNT})
OUTBOX_ROW = Columns("receiver id name about subject data", "", {"number": _COUNT, "attempts": _COUNT, "time": _TIME})
HOLDER = Columns("file entry", "", {"most": (_FLOAT, -1, 1), "suspended": (_INT, 0, 1)})
LEARNED = Columns("endpoint name server text", "", {"learned": _TIME})
RECEIVER = Columns("receiver error", "", dict.fromkeys(("waiting", "dead", "dropped"), _COUNT))


_SCHEDULE = (
    *(_TEXT, _TEXT, _FLOAT_OR_NONE, _FLOAT_OR_NONE, _TEXT_OR_NONE, _TEXT_OR_NONE, _INT_OR_NONE, _TEXT_OR_NONE, _TEXT),
)


@lru_cache(maxsize=64)
def check_schedule(*kinds: type) -> None:
    """Check the types of the values in a row of `recorded_schedules`, of which a start reads a million."""
    for kind, allowed in zip(kinds, _SCHEDULE, strict=True):
        if kind not in allowed:
            raise TypeError(kind.__name__)


def check_time(value: float) -> None:
    """Check a number of a type that was checked."""
    if not -_FARTHEST <= value <= _FARTHEST:
        raise ValueError(value)


# ── JSON ──────────────────────────────────────────────────────────────────────────────────────────
def _is_file(value: Any) -> bool:
    return type(value) is list and len(value) == _OF_FILE and all(type(one) is int for one in value)


def _is_length(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_mapping_of_texts(value: Any) -> bool:
    return type(value) is dict and all(type(one) is str for one in value.values())


def _is_duration(value: Any) -> bool:
    return type(value) in _FLOAT and 0 <= value <= _FARTHEST


def _is_text(value: Any) -> bool:
    return type(value) is str


def _is_flag(value: Any) -> bool:
    return type(value) is bool


_Checks = Mapping[str, Callable[[Any], bool]]
_REVISION: _Checks = {"length": _is_length, "file": _is_file, "departs": _is_flag}
_OPTIONS: _Checks = {
    "metadata": _is_mapping_of_texts,
    "tags": _is_mapping_of_texts,
    "retain": _is_duration,
    "legal_hold": _is_flag,
}


def _checked(known: Any, checks: _Checks) -> dict[str, Any]:
    """`known` if it is an object whose fields pass; a field that is not named is text. None is no value."""
    if type(known) is not dict:
        raise TypeError("not an object")
    for name, value in known.items():
        if value is not None and not checks.get(name, _is_text)(value):
            raise TypeError(name)
    return {name: value for name, value in known.items() if value is not None}


def revision_fields(known: Any) -> dict[str, Any]:
    """The fields of a `Revision` in its JSON. An unknown one is an error of its constructor."""
    return _checked(known, _REVISION)


def options_fields(known: Any) -> dict[str, Any]:
    """The fields of `ObjectOptions` in their JSON."""
    return _checked(known, _OPTIONS)
