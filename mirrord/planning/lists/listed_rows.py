"""The rows of one list, packed in memory, and their items, each made when it is asked for. Pure.

For the daemon: a million items would take half a gigabyte; a row takes 40 bytes beside its text. An item is made in 10
us, less than a twentieth of its check.
"""

import marshal
from array import array
from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace

from mirrord.declared import ListSpec
from mirrord.model import DeclaredBytes, File, IdTable, Item, SourceOptions
from mirrord.planning.items.prefixes import KeyPrefix, key_directory
from mirrord.planning.lists.binding import RowBinding
from mirrord.planning.lists.rows import ListRow

_NOTHING = DeclaredBytes()
_LENGTH = 20  # bits; a line has at most 64 KiB
_LINE = 4  # bytes


class ListedRows(Mapping[str, Item]):
    """By item id. `add` the rows; once it is read by others it does not change any more."""

    def __init__(self, spec: ListSpec) -> None:
        self.spec = spec
        self.has_files = False
        """Whether a row names a local file."""
        self.directories: dict[KeyPrefix, array[int]] = {}
        """The directories of the keys, with the ids of the items as numbers."""
        self._binding = RowBinding(spec)
        self._places = IdTable("Q")  # offset and length in the text
        self._text = bytearray()  # of each row: the number of its line, then its values

    def add(self, item: Item, row: ListRow, line: int) -> int | None:
        """One more row, and its item; or the line of the row that has the same item."""
        declared = row.declared or _NOTHING
        values = (row.url, row.key, row.named, declared.size, declared.md5, declared.sha256, row.listed)
        packed = line.to_bytes(_LINE, "little") + marshal.dumps(values)
        if (known := self._put(item, packed)) is not None:
            return self._line_at(known)
        self.has_files |= isinstance(item.origin, File)
        return None

    def _put(self, item: Item, packed: bytes) -> int | None:
        """Add the row, unless one has the item: its place."""
        known = self._places.add(item.id, len(self._text) << _LENGTH | len(packed))
        if known is not None:
            return int(known[0])
        self._text += packed
        directory = key_directory(item.destination)
        if directory not in self.directories:
            self.directories[directory] = array("Q")
        self.directories[directory].append(int(item.id, 16))
        return None

    @property
    def ids(self) -> IdTable:
        """The table that has the ids."""
        return self._places

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __contains__(self, item_id: object) -> bool:
        return isinstance(item_id, str) and item_id in self._places

    def __getitem__(self, item_id: str) -> Item:
        if (found := self.find(item_id)) is None:
            raise KeyError(item_id)
        return found

    def find(self, item_id: str) -> Item | None:
        """The item of a row; None: no row has it."""
        row = self._row(item_id)
        return None if row is None else self._binding.item(row)

    def source(self, item_id: str) -> SourceOptions | None:
        """The source of a row; None: no row has the item."""
        row = self._row(item_id)
        return None if row is None else self._binding.source(row)

    def line_of(self, item_id: str) -> int | None:
        """The line of the item's row; None: it has none."""
        place = self._places.get(item_id)
        return None if place is None else self._line_at(place[0])

    def called(self, entry: str, *, suspend: bool) -> "ListedRows":
        """The same rows, of an entry that was renamed or suspended."""
        options = (
            self.spec.options if suspend == self.spec.options.suspend else replace(self.spec.options, suspend=suspend)
        )
        made = ListedRows(replace(self.spec, entry=entry, options=options))
        made.has_files, made.directories = self.has_files, self.directories
        made._places, made._text = self._places, self._text
        return made

    def with_missing(self, before: "ListedRows") -> Generator[None, None, "ListedRows"]:
        """These rows, and those of a former reading of the same list that are missing. Yields for a pause."""
        made = ListedRows(self.spec)
        made.has_files = self.has_files or before.has_files
        made.directories = {directory: array("Q", ids) for directory, ids in self.directories.items()}
        made._places, made._text = self._places.copy(), bytearray(self._text)
        for item_id in before._places.without(self._places):
            made._put(before[item_id], bytes(before._packed(item_id)))
            yield
        return made

    def changed_since(self, before: "ListedRows") -> Iterator[str | None]:
        """The ids of rows that are new, gone or different; None now and then, for a pause."""
        if before is self:
            return
        if before.spec != self.spec:
            yield from self
            yield from (None if item_id in self else item_id for item_id in before)
            return
        old = {int(shard[0][0]) >> 52: shard for shard in before._places.shards() if shard[0]}
        for shard in self._places.shards():
            known = old.pop(int(shard[0][0]) >> 52, None) if shard[0] else None
            places = dict(zip(known[0], known[1], strict=True)) if known is not None else {}
            for number, place in zip(*shard, strict=True):
                was = places.pop(number, None)
                if was is None or self._at(place)[_LINE:] != before._at(was)[_LINE:]:
                    yield f"{number:016x}"
            yield from map("{:016x}".format, places)
            yield None
        for rest in old.values():
            yield from map("{:016x}".format, rest[0])

    def _row(self, item_id: str) -> ListRow | None:
        place = self._places.get(item_id)
        if place is None:
            return None
        url, key, named, size, md5, sha256, listed = marshal.loads(self._at(place[0])[_LINE:])
        declared = None if size is None and md5 is None and sha256 is None else DeclaredBytes(size, md5, sha256)
        return ListRow(url, key, declared, named, listed)

    def _packed(self, item_id: str) -> bytearray:
        place = self._places.get(item_id)
        return bytearray() if place is None else self._at(place[0])

    def _line_at(self, place: int) -> int:
        return int.from_bytes(self._at(place)[:_LINE], "little")

    def _at(self, place: int) -> bytearray:
        start = place >> _LENGTH
        return self._text[start : start + (place & ((1 << _LENGTH) - 1))]
