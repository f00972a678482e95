"""The good rows of a list, kept compressed in memory, and their items, as many times as wanted.

For programs that work through a list once: its items together would take half a kilobyte each. The list itself cannot
be read again later: it may change, and its connection does not live for hours.
"""

import marshal
import zlib
from collections.abc import Iterator

from mirrord.declared import ListSpec
from mirrord.model import DeclaredBytes, File, Item
from mirrord.planning.lists.binding import RowBinding
from mirrord.planning.lists.rows import ListRow

_BLOCK = 1_000  # rows
_LEVEL = 1

_NOTHING = DeclaredBytes()
_Packed = tuple[str, str | None, bool, int | None, bytes | None, bytes | None, tuple[int, str] | None]


class ListSpool:
    """`add` each good row, then iterate over the items."""

    def __init__(self, spec: ListSpec) -> None:
        self.has_files = False
        """Whether a row names a local file."""
        self._binding = RowBinding(spec)
        self._blocks: list[bytes] = []
        self._open: list[_Packed] = []

    def add(self, item: Item, row: ListRow, _line: int) -> None:
        """See `Keep`."""
        self.has_files |= isinstance(item.origin, File)
        declared = row.declared or _NOTHING
        self._open.append((row.url, row.key, row.named, declared.size, declared.md5, declared.sha256, row.listed))
        if len(self._open) >= _BLOCK:
            self._blocks.append(zlib.compress(marshal.dumps(self._open), _LEVEL))
            self._open = []

    def __iter__(self) -> Iterator[Item]:
        for block in self._blocks:
            yield from map(self._item, marshal.loads(zlib.decompress(block)))
        yield from map(self._item, self._open)

    def _item(self, packed: _Packed) -> Item:
        url, key, named, size, md5, sha256, listed = packed
        declared = DeclaredBytes(size, md5, sha256)
        return self._binding.item(ListRow(url, key, declared if declared != _NOTHING else None, named, listed))
