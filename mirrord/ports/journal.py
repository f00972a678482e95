"""The durable record of items, transfers, uploads and parts."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from mirrord.model import Checksum, Copied, FileIdentity, Part, Record, State, Transfer


class Journal(AbstractAsyncContextManager["Journal"], Protocol):
    """The durable record. Each method has committed when it returns. Raises JournalError and its children."""

    async def record(self, item_id: str) -> Record | None:
        """What is known of the item."""

    async def recorded(self, item_ids: Collection[str]) -> Mapping[str, Record]:
        """What is known of many items, by item id: at the price of one question. Some hundreds at a time."""

    async def dates(self, sources: Collection[str]) -> Mapping[str, float]:
        """`Record.dated` by source, of items in force and of those that left their objects behind; the earliest.

        At the price of one question. Some hundreds at a time."""

    async def save(self, record: Record) -> None:
        """Write the item's record, whole."""

    async def save_all(self, records: Sequence[Record]) -> None:
        """Write many records, each whole, in one commit."""

    async def retire(self, item_ids: Sequence[str], when: float) -> None:
        """These items left the manifests: one commit. Saving an item's record again brings it back.

        An id that is not recorded, or left before, is no error and keeps its time."""

    def records(self) -> AsyncIterator[Record]:
        """Every recorded item, streamed, by item id; those that left the manifests too (`removed` is set)."""

    def others(self, entries: Collection[str]) -> AsyncIterator[str]:
        """The ids of all items in force that are of none of these entries, streamed, in no order."""

    async def page(
        self, *, state: State | None = None, entry: str = "", text: str = "", after: str = "", limit: int = 100
    ) -> Sequence[Record]:
        """Up to `limit` items in force with ids after `after`, by item id: of that state, of the entry of that name,
        and with `text` in key, source or entry in upper or lower case. Fewer than `limit`: there are no more."""

    async def count(self, entry: str) -> int:
        """How many items of the entry of that name are in force."""

    async def totals(self) -> Mapping[State, int]:
        """How many items in force are in each state; a state without items is left out."""

    async def last_written(self) -> float | None:
        """When the journal was last written to, by whomever; None if it never was."""

    async def made_from(self, file: FileIdentity, endpoint: str) -> Sequence[Record]:
        """A few records of objects at that endpoint that were made from a file with this inode, size and mtime: it most
        likely was this file, under another name or the same. Its device may be another: numbers of devices change."""

    async def folder_root(self, entry: str, path: str) -> tuple[int, int] | None:
        """Device and inode of the directory that the folder's last whole scan read; None if none is recorded."""

    async def keep_folder_root(self, entry: str, path: str, root: tuple[int, int]) -> None:
        """Record that this is the directory."""

    async def begin(self, transfer: Transfer) -> None:
        """The intent: from here on the store may hold something of this transfer. One of the same id is replaced."""

    async def opened(self, transfer_id: str, upload_id: str) -> None:
        """The multipart upload stands at the store. For a settled transfer this and the next two do nothing."""

    async def part_done(self, transfer_id: str, part: Part) -> None:
        """The store confirmed this part; one of the same number is replaced."""

    async def completing(self, transfer_id: str, whole: Checksum | None, when: float) -> None:
        """Every part is recorded and the store is about to make the object visible, under this checksum; written again
        with each repeat. From here on the outcome is unknown (`Transfer.complete_requested`)."""

    async def complete_refused(self, transfer_id: str) -> None:
        """The store answered that it did not make the object visible: the outcome is known."""

    async def finish(self, transfer_id: str, copied: Copied, record: Record) -> None:
        """The transfer is done and the item's record says so: one commit."""

    async def abandon(self, transfer_id: str) -> None:
        """The transfer came to nothing and left nothing behind."""

    async def give_up(self, transfer_id: str, when: float) -> None:
        """The transfer will not go on and is no longer unfinished; the store may hold something of it.

        It is kept, as settled at `when`, until it is abandoned; given up before, it keeps its time."""

    def given_up(self) -> AsyncIterator[Transfer]:
        """Transfers that were given up and not yet abandoned: what a sweep of the stores must look for."""

    def unfinished(self) -> AsyncIterator[Transfer]:
        """Transfers begun and neither finished, given up nor abandoned: those that run, and what a crash or an
        interruption left."""

    async def unfinished_of(self, item_id: str) -> Sequence[Transfer]:
        """Those of one item, the oldest first."""

    async def open_of(self, item_id: str) -> Sequence[Transfer]:
        """The unfinished and the given up transfers of one item, the oldest first."""

    async def parts(self, transfer_id: str) -> Sequence[Part]:
        """The parts done of an unfinished transfer, ascending, with the checksums that they were sent with."""
