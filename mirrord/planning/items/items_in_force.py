"""All items of mirrors and lists in force, by id; those of lists are made when they are asked for. Pure.

Owns which entry has an object that several name: a mirror before lists, an earlier list before a later one. Items of
lists are new objects each time; `changed_since` compares rows without making them.
"""

from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from itertools import chain
from types import MappingProxyType

from mirrord.model import Item, SourceOptions
from mirrord.planning.lists.listed_rows import ListedRows

_NONE: Mapping[str, Item] = MappingProxyType({})


class ItemsInForce(Mapping[str, Item]):
    """`mirrors` by id. It does not change."""

    def __init__(self, mirrors: Mapping[str, Item] = _NONE, lists: Sequence[ListedRows] = ()) -> None:
        self.mirrors = mirrors
        self.lists = tuple(lists)

    @classmethod
    def of(cls, items: Mapping[str, Item]) -> "ItemsInForce":
        """The same items in this form."""
        return items if isinstance(items, ItemsInForce) else cls(items)

    def __getitem__(self, item_id: str) -> Item:
        found = self.mirrors.get(item_id)
        if found is not None:
            return found
        for rows in self.lists:
            if (item := rows.find(item_id)) is not None:
                return item
        raise KeyError(item_id)

    def source(self, item_id: str) -> Item | SourceOptions:
        """What `planning.timing.schedule` needs of an item: of a list, it is made in a third of the time."""
        found = self.mirrors.get(item_id)
        if found is not None:
            return found
        for rows in self.lists:
            if (source := rows.source(item_id)) is not None:
                return source
        raise KeyError(item_id)

    def __contains__(self, item_id: object) -> bool:
        if item_id in self.mirrors:
            return True
        for rows in self.lists:  # noqa: SIM110 - `any` takes twice as long, thrice for each of a million items
            if item_id in rows:
                return True
        return False

    def __iter__(self) -> Iterator[str]:
        yield from self.mirrors
        for number, rows in enumerate(self.lists):
            above = ItemsInForce(self.mirrors, self.lists[:number])
            shadowed = above.mirrors or above.lists
            yield from (item_id for item_id in rows if item_id not in above) if shadowed else rows

    def __len__(self) -> int:
        if not self.mirrors and len(self.lists) == 1:
            return len(self.lists[0])
        return sum(1 for _ in self)

    def entry_of(self, item_id: str) -> str | None:
        """The entry that has the item; None: none has it."""
        found = self.mirrors.get(item_id)
        if found is not None:
            return found.entry
        return self.list_of(item_id)

    def list_of(self, item_id: str) -> str | None:
        """The entry of the first list that has the item; None: none has it."""
        for rows in self.lists:
            if item_id in rows:
                return rows.spec.entry
        return None

    def entries(self) -> Iterator[tuple[str, str]]:
        """The id and the entry of each item."""
        return ((item_id, self.entry_of(item_id) or "") for item_id in self)

    def local(self) -> Iterator[Item]:
        """All items whose sources may be local files, without making those of other lists."""
        return chain(self.mirrors.values(), *(rows.values() for rows in self.lists if rows.has_files))

    def conflicts(self, rows: ListedRows) -> Iterator[str | None]:
        """The ids of rows whose objects are those of these items; None now and then, for a pause."""
        yield from (item_id if item_id in rows else None for item_id in self.mirrors)
        for one in self.lists:
            yield from (
                None if item_id is None or item_id in self.mirrors else item_id for item_id in one.ids.common(rows.ids)
            )

    def with_missing(self, former: "ItemsInForce") -> Generator[None, None, "ItemsInForce"]:
        """These lists, and the rows of former readings that are missing in them. Yields for a pause."""
        lists = list(self.lists)
        for rows in former.lists:
            for number, one in enumerate(lists):
                if one.spec == rows.spec:
                    lists[number] = yield from one.with_missing(rows)
                    break
            else:
                lists.append(rows)
        return ItemsInForce(self.mirrors, lists)

    def changed_since(self, before: "ItemsInForce", changed_stores: Collection[str]) -> Iterator[str | None]:
        """The ids of all items that may be new, gone or different, each once or more often; None now and then, for a
        pause. An item of `changed_stores` may be different."""
        if self.mirrors is not before.mirrors or changed_stores:
            yield from self._changed_mirrors(before.mirrors, changed_stores)
        now, then = self._by_entry(), before._by_entry()
        if [one for one in now if one in then] != [one for one in then if one in now]:
            yield from chain(self, before)  # of two lists that have an object, another one comes first now
            return
        for entry in {**then, **now}:
            rows, known = now.get(entry), then.get(entry)
            if rows is None or known is None or rows.spec.store in changed_stores:
                yield from rows or ()
                yield from (None if item_id in (rows or ()) else item_id for item_id in known or ())
            else:
                yield from rows.changed_since(known)

    def _by_entry(self) -> dict[tuple[str, int], ListedRows]:
        """The lists by entry, and a number: an entry may have rows of a former definition, too."""
        found: dict[tuple[str, int], ListedRows] = {}
        for rows in self.lists:
            found[rows.spec.entry, sum(entry == rows.spec.entry for entry, _ in found)] = rows
        return found

    def _changed_mirrors(self, before: Mapping[str, Item], changed_stores: Collection[str]) -> Iterator[str]:
        yield from (item_id for item_id in before if item_id not in self.mirrors)
        for item_id, item in self.mirrors.items():
            if item is not before.get(item_id) or item.destination.store in changed_stores:
                yield item_id
