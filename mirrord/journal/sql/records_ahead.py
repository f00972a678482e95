"""Records that were read many at a time, in the memory of the journal's one writer: each for the next read of its item.

A query for each item would take 40 us, most of it for the way to the journal's thread and back. A write of a record
drops the item, also while the query for it runs, so that no older record is ever read.
"""

from collections.abc import Collection, Mapping

from mirrord.model import Record

MOST = 2_000
"""The most records that are kept before they are asked for. If there are more, all are dropped."""


class RecordsAhead:
    """By item id. None: the item has no record."""

    def __init__(self) -> None:
        self._asked: set[str] = set()  # the query for them runs
        self._records: dict[str, Record | None] = {}

    def ask(self, item_ids: Collection[str]) -> None:
        """The records of these items are being read."""
        if len(self._records) + len(item_ids) > MOST:
            self._records.clear()
        self._asked.update(item_ids)

    def answer(self, item_ids: Collection[str], found: Mapping[str, Record]) -> None:
        """They were read: `found` has those that exist."""
        self._records |= {item_id: found.get(item_id) for item_id in self._asked.intersection(item_ids)}
        self._asked.difference_update(item_ids)

    def drop(self, item_ids: Collection[str]) -> None:
        """The records of these items change, or could not be read."""
        if self._asked or self._records:
            self._asked.difference_update(item_ids)
            for item_id in item_ids:
                self._records.pop(item_id, None)

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._records

    def take(self, item_id: str) -> Record | None:
        """The record of an item that is here; the next read of it is another query."""
        return self._records.pop(item_id)
