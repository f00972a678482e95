"""A journal that forgets: for `plan`, the library and tests. The same contract, no durability."""

from collections.abc import AsyncIterator
from typing import Self

from mirrord.model import Copied, Record, Transfer


class MemoryJournal:
    """`ports.Journal` in the heap; what it holds outlives the context, and is gone with the object."""

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}
        self._transfers: dict[str, Transfer] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None

    async def record(self, item_id: str) -> Record | None:
        return self._records.get(item_id)

    async def save(self, record: Record) -> None:
        self._records[record.item_id] = record

    async def records(self) -> AsyncIterator[Record]:
        for item_id in sorted(self._records):
            yield self._records[item_id]

    async def begin(self, transfer: Transfer) -> None:
        self._transfers[transfer.id] = transfer

    async def finish(self, transfer_id: str, copied: Copied, record: Record) -> None:  # noqa: ARG002 (see sqlite)
        self._transfers.pop(transfer_id, None)
        self._records[record.item_id] = record

    async def abandon(self, transfer_id: str) -> None:
        self._transfers.pop(transfer_id, None)

    async def unfinished(self) -> AsyncIterator[Transfer]:
        for transfer_id in sorted(self._transfers):
            if transfer := self._transfers.get(transfer_id):
                yield transfer
