"""Very many rows of a result in the order of their objects, packed in memory.

Owns the order and the packed form. Rows with their items take 900 bytes each, and packed a tenth of it: a plan may have
a million. Few rows stay as they are.
"""

import heapq
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from operator import eq
from typing import Any, Protocol, TypeVar, overload

from mirrord.model import DeclaredBytes, Destination, File, Item, ListedRevision, Outcome, S3Object, Url

_RUN = 5_000
"""Rows that are sorted at a time: 30 ms."""
_BLOCK = 200
"""Rows that are unpacked at a time, of each run."""
_LEVEL = 1
_SHARED, _TUPLE, _BYTES = -1, -2, -3
_PLAIN = frozenset({str, int, float, bool, type(None)})
_PARTS = (Item, Destination, Url, File, S3Object, ListedRevision, DeclaredBytes, Outcome)


class OfItem(Protocol):
    """A row of a result."""

    @property
    def item(self) -> Item:
        """The item that the row is about."""


ItemRow = TypeVar("ItemRow", bound=OfItem)


def position(row: OfItem) -> tuple[str, str, str]:
    """Store, bucket and key of its object."""
    at = row.item.destination
    return at.store, at.bucket, at.key


class SortedRows(Sequence[ItemRow]):
    """`add` rows in any order, then iterate over them by store, bucket and key, as often as wanted. `kind`: their
    class. `shown`: applied to each row when it is read."""

    def __init__(self, kind: type[ItemRow], shown: Callable[[ItemRow], ItemRow] = lambda row: row) -> None:
        self._shown = shown
        self._form = _Form((*_PARTS, kind))
        self._runs: list[list[bytes]] = []
        self._open: list[ItemRow] = []

    def add(self, row: ItemRow) -> None:
        """One more row."""
        self._open.append(row)
        if len(self._open) == _RUN:
            self._open.sort(key=position)
            self._runs.append([self._packed(self._open[at : at + _BLOCK]) for at in range(0, _RUN, _BLOCK)])
            self._open = []

    def __len__(self) -> int:
        return len(self._runs) * _RUN + len(self._open)

    def __iter__(self) -> Iterator[ItemRow]:
        self._open.sort(key=position)
        return map(self._shown, heapq.merge(*map(self._rows, self._runs), self._open, key=position))

    @overload
    def __getitem__(self, at: int) -> ItemRow: ...
    @overload
    def __getitem__(self, at: slice) -> list[ItemRow]: ...
    def __getitem__(self, at: int | slice) -> ItemRow | list[ItemRow]:
        """Reads all rows: to read many, iterate."""
        return list(self)[at]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(eq, self, other))

    def _packed(self, rows: list[ItemRow]) -> bytes:
        return zlib.compress(json.dumps([self._form.packed(row) for row in rows]).encode(), _LEVEL)

    def _rows(self, run: list[bytes]) -> Iterator[ItemRow]:
        for block in run:
            yield from map(self._form.unpacked, json.loads(zlib.decompress(block)))


class _Form:
    """Values of these classes as lists of their fields, for JSON. Others, which many rows share, are kept once:
    options, enums, actions."""

    def __init__(self, kinds: tuple[type, ...]) -> None:
        self._kinds = kinds
        self._names = [getattr(kind, "_fields", None) or [one.name for one in fields(kind)] for kind in kinds]
        self._numbers = {kind: number for number, kind in enumerate(kinds)}
        self._shared: list[object] = []
        self._places: dict[int, int] = {}  # by the id of the value, which `_shared` keeps

    def packed(self, value: Any) -> Any:
        kind = type(value)
        if kind in _PLAIN:
            return value
        if (number := self._numbers.get(kind)) is not None:
            return number, *[self.packed(getattr(value, name)) for name in self._names[number]]
        if kind is tuple:
            return _TUPLE, *map(self.packed, value)
        if kind is bytes:
            return _BYTES, value.hex()
        place = self._places.get(id(value))
        if place is None:
            place = self._places[id(value)] = len(self._shared)
            self._shared.append(value)
        return _SHARED, place

    def unpacked(self, packed: Any) -> Any:
        if type(packed) is not list:
            return packed
        number, *values = packed
        if number == _SHARED:
            return self._shared[values[0]]
        if number == _BYTES:
            return bytes.fromhex(values[0])
        known = map(self.unpacked, values)
        if number == _TUPLE:
            return tuple(known)
        return self._kinds[number](**dict(zip(self._names[number], known, strict=True)))
