"""A set of very many hashes, for files of a scan: 8 bytes each.

Among a million of them, a hash that is absent is found with probability 1e-13.
"""

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain

_SHARDS = 1024  # each is sorted on its own: sorting a million at once would hold the interpreter lock for 0.5 s


class Marks:
    """`add` hashes, as `hash()` gives them, then ask."""

    __slots__ = ("_shards", "_sorted")

    def __init__(self) -> None:
        self._shards = [array("q") for _ in range(_SHARDS)]
        self._sorted = [True] * _SHARDS

    def add(self, mark: int) -> None:
        """One more hash."""
        self._shards[mark % _SHARDS].append(mark)
        self._sorted[mark % _SHARDS] = False

    def __contains__(self, mark: int) -> bool:
        shard = self._shard(mark % _SHARDS)
        at = bisect_left(shard, mark)
        return at < len(shard) and shard[at] == mark

    def __len__(self) -> int:
        return sum(map(len, self._shards))

    def _shard(self, number: int) -> "array[int]":
        if not self._sorted[number]:
            self._shards[number] = array("q", sorted(self._shards[number]))
            self._sorted[number] = True
        return self._shards[number]


def repeated(marks: Sequence[Marks]) -> Iterator[set[int]]:
    """The hashes that were added at least twice, to one of these or to two, in steps."""
    for number in range(_SHARDS):
        shards = [one._shards[number] for one in marks]
        if len(set().union(*shards)) == sum(map(len, shards)):
            yield set()
        else:
            counts = Counter(chain(*shards))
            yield {mark for mark, count in counts.items() if count > 1}
