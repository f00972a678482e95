"""The items with transfers that neither finished nor were abandoned, in the memory of the journal's one writer.

Most items have none, so most checks need no query for them. An item that is counted may have none any more: the journal
is asked then.
"""

from collections import Counter


class OpenTransfers:
    """`item_id in open_transfers`; a transfer counts once, by its id."""

    def __init__(self) -> None:
        self._items: dict[str, str] = {}
        self._count: Counter[str] = Counter()

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._count

    def add(self, transfer_id: str, item_id: str) -> bool:
        """Whether the transfer was not counted yet."""
        if transfer_id in self._items:
            return False
        self._items[transfer_id] = item_id
        self._count[item_id] += 1
        return True

    def discard(self, transfer_id: str) -> None:
        item_id = self._items.pop(transfer_id, None)
        if item_id is not None:
            self._count[item_id] -= 1
            if not self._count[item_id]:
                del self._count[item_id]
