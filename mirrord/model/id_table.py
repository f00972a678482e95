"""The ids of very many items: in a list, or in sorted arrays with numbers for each.

A dict of strings takes 200 bytes an item, the table 8 and as many for each number. A read or a write takes 1 us.
"""

from array import array
from bisect import bisect_left
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Any

_PREFIX = 3
"""Hex digits: a table of a million items has 4,096 shards, and an insertion moves some hundreds of numbers."""

Numbers = tuple[Any, ...]
"""The numbers of one item: ints, or floats, as the table's columns say."""
Shard = tuple["array[Any]", ...]
"""The ids in order, then one array for each column."""


class IdList:
    """Item ids in the order in which they were added, 8 bytes each: as strings they would take 73."""

    __slots__ = ("_numbers",)

    def __init__(self, item_ids: Iterable[str] = ()) -> None:
        self._numbers = array("Q", [int(item_id, 16) for item_id in item_ids])

    def append(self, item_id: str) -> None:
        """One more id."""
        self._numbers.append(int(item_id, 16))

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[str]:
        return map("{:016x}".format, self._numbers)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IdList) and self._numbers == other._numbers

    def __repr__(self) -> str:
        return f"IdList({list(self)!r})"


class IdTable:
    """`columns`: the type codes of `array`, one for each number of an item. Ids are 16 hex digits (`item_id`)."""

    __slots__ = ("_columns", "_shards", "_size")

    def __init__(self, columns: str) -> None:
        self._columns = columns
        self._shards: dict[str, Shard] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __contains__(self, item_id: str) -> bool:
        shard = self._shards.get(item_id[:_PREFIX])
        if shard is None:
            return False
        ids, number = shard[0], int(item_id, 16)
        at = bisect_left(ids, number)
        return at < len(ids) and ids[at] == number

    def __iter__(self) -> Iterator[str]:
        """The ids, in order. The table must not change meanwhile."""
        for shard in self.shards():
            yield from map("{:016x}".format, shard[0])

    def get(self, item_id: str) -> Numbers | None:
        """The numbers of the item; None: it has none."""
        shard = self._shards.get(item_id[:_PREFIX])
        if shard is None:
            return None
        number = int(item_id, 16)
        at = bisect_left(shard[0], number)
        if at == len(shard[0]) or shard[0][at] != number:
            return None
        return tuple([column[at] for column in shard[1:]])

    def put(self, item_id: str, *numbers: float) -> None:
        """These are the numbers of the item from now on."""
        shard = self._shards.get(item_id[:_PREFIX]) or self._new_shard(item_id)
        ids, number = shard[0], int(item_id, 16)
        at = bisect_left(ids, number) if ids and number <= ids[-1] else len(ids)
        if at < len(ids) and ids[at] == number:
            for column, value in zip(shard[1:], numbers, strict=True):
                column[at] = value
        else:
            self._insert(shard, at, number, numbers)

    def add(self, item_id: str, *numbers: float) -> Numbers | None:
        """These are the numbers of the item, unless the table has it: then its numbers, which stay."""
        shard = self._shards.get(item_id[:_PREFIX]) or self._new_shard(item_id)
        ids, number = shard[0], int(item_id, 16)
        at = bisect_left(ids, number) if ids and number <= ids[-1] else len(ids)
        if at < len(ids) and ids[at] == number:
            return tuple([column[at] for column in shard[1:]])
        self._insert(shard, at, number, numbers)
        return None

    def lower(self, item_id: str, number: float) -> bool:
        """The item's number, in a table with one column, is at most this one from now on. Returns whether it is this
        one, and was higher or absent."""
        known = self.add(item_id, number)
        if known is not None and known[0] > number:
            self.put(item_id, number)
        return known is None or bool(known[0] > number)

    def discard(self, item_id: str) -> None:
        """Remove the item, if the table has it."""
        shard = self._shards.get(item_id[:_PREFIX])
        if shard is None:
            return
        number = int(item_id, 16)
        at = bisect_left(shard[0], number)
        if at < len(shard[0]) and shard[0][at] == number:
            self._size -= 1
            for column in shard:
                del column[at]

    def shards(self) -> Sequence[Shard]:
        """All of it, in the order of the ids, some hundreds of a million items at a time."""
        return [self._shards[prefix] for prefix in sorted(self._shards)]

    def common(self, other: "IdTable") -> Iterator[str | None]:
        """The ids that both have; None now and then, for a pause."""
        for prefix in self._shards.keys() & other._shards.keys():
            both = set(self._shards[prefix][0]).intersection(other._shards[prefix][0])
            yield from map("{:016x}".format, both)
            yield None

    def without(self, other: "IdTable") -> Iterator[str]:
        """The ids that `other` lacks."""
        for prefix, shard in self._shards.items():
            known = other._shards.get(prefix)
            if known is None or known[0] != shard[0]:
                missing = set(shard[0]).difference(known[0] if known is not None else ())
                yield from map("{:016x}".format, missing)

    def _new_shard(self, item_id: str) -> Shard:
        shard = self._shards[item_id[:_PREFIX]] = (array("Q"), *(array(code) for code in self._columns))
        return shard

    def _insert(self, shard: Shard, at: int, number: int, numbers: tuple[float, ...]) -> None:
        self._size += 1
        shard[0].insert(at, number)
        for column, value in zip(shard[1:], numbers, strict=True):
            column.insert(at, value)

    def copy(self) -> "IdTable":
        """An equal table."""
        made = IdTable(self._columns)
        made._shards = {prefix: (shard[0][:], *(one[:] for one in shard[1:])) for prefix, shard in self._shards.items()}
        made._size = self._size
        return made

    def follow(self, ids: "IdTable", before: Sequence["IdTable"], value: float) -> Generator[None]:
        """Fill this table, which is empty and has one column, with the ids of another one, and the first number that
        one of `before` has of each; else `value`. Yields for a pause; then numbers of ids that it has may change."""
        for prefix, shard in ids._shards.items():
            others = [table._shards[prefix] for table in before if prefix in table._shards]
            if others and others[0][0] == shard[0]:  # nearly always, and thrice as fast
                self._shards[prefix] = shard[0][:], others[0][1][:]
            elif not others:
                self._shards[prefix] = shard[0][:], array("d", [value]) * len(shard[0])
            else:
                known: dict[int, float] = {}
                for other in reversed(others):
                    known.update(zip(other[0], other[1], strict=True))
                self._shards[prefix] = shard[0][:], array("d", [known.get(number, value) for number in shard[0]])
            yield
        self._size = len(ids)
