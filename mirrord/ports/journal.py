"""The durable record of items and transfers, as three protocols.

Owns what every journal promises. `JournalQueries` reads what is known of items, `JournalRecords` also writes it,
`JournalTransfers` follows each transfer from its intent to its end; `Journal` is all three. A user asks for the
narrowest that it needs.

Each call has committed when it returns, and raises JournalError and its children. A caller that is cancelled undoes
nothing: what it asked for may still be committed. Bytes of objects never pass through here.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from mirrord.model import Checksum, FileIdentity, Part, Record, State, Transfer

NAMES_OF_A_FILE = 8
"""Records that `made_from` returns, at most."""


class JournalQueries(Protocol):
    """What is known of items. Nothing here writes.

    An item is in force until it is retired. A retired item is kept, with the time in `Record.removed`.
    """

    async def record(self, item_id: str) -> Record | None:
        """What is known of the item, in force or retired; None if it is not recorded."""

    async def recorded(self, item_ids: Collection[str]) -> Mapping[str, Record]:
        """As `record`, of many items by item id, for the price of one question: up to about a thousand."""

    async def dates(self, sources: Collection[str]) -> Mapping[str, float]:
        """`Record.dated` by source, the earliest, for the price of one question: up to some hundreds.

        Counts items in force, and retired ones whose objects still stand (they have an ETag).
        """

    async def made_from(self, file: FileIdentity, endpoint: str) -> Sequence[Record]:
        """Up to `NAMES_OF_A_FILE` records of objects at this endpoint that were made from a file with the same inode,
        size and mtime: most likely this file, under another name or the same.

        The device is not compared, because device numbers change.
        """

    def records(self) -> AsyncIterator[Record]:
        """Every recorded item, in force or retired, streamed by item id."""

    def item_ids_outside(self, entries: Collection[str]) -> AsyncIterator[str]:
        """The ids of all items in force whose entry is none of these, streamed, in no order."""

    async def page(
        self,
        *,
        state: State | None = None,
        entry: str | None = None,
        text: str | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> Sequence[Record]:
        """Up to `limit` items in force with ids after `after`, by item id. Fewer than `limit`: no more follow.

        `state` and `entry` select; `text` must occur in key, source or entry, in upper or lower case. None: any.
        """

    async def count(self, entry: str) -> int:
        """How many items of this entry are in force."""

    async def totals(self) -> Mapping[State, int]:
        """How many items in force are in each state; a state without items is left out."""

    async def last_written(self) -> float | None:
        """When any process last wrote to the journal; None if none ever did."""

    async def folder_root(self, entry: str, path: str) -> tuple[int, int] | None:
        """Device and inode of the directory that the folder's last complete scan read; None if none is recorded."""


class JournalRecords(JournalQueries, Protocol):
    """Items and their state: what is known of them, and writing it."""

    async def save(self, record: Record) -> None:
        """Write the item's record, whole."""

    async def save_all(self, records: Sequence[Record]) -> None:
        """Write many records, each whole, in one commit."""

    async def retire(self, item_ids: Sequence[str], when: float) -> None:
        """These items left the manifests: one commit. Saving an item's record again puts it back in force.

        An id that is not recorded is ignored; an item that was retired before keeps its time.
        """

    async def save_folder_root(self, entry: str, path: str, root: tuple[int, int]) -> None:
        """Record device and inode of the directory that a complete scan of the folder read."""


class JournalTransfers(Protocol):
    """The steps of transfers: begin, opened, part_done, completing, then finish or abandon.

    Each step is committed before the store is asked for the next one, so that after a kill the journal knows all that
    the store may hold. A transfer is *unfinished* from `begin` on, until `finish`, `abandon` or `give_up`. One that was
    given up no longer goes on; it is kept until `abandon`, because the store may hold something of it.

    `opened`, `part_done`, `completing` and `complete_refused` also write to a transfer that was given up: the answer to
    a call that was under way may come later. The sweep needs each of these facts: it aborts by the upload's id, and it
    must not abort an upload whose completion was requested. For a transfer that is not known (never begun, finished or
    abandoned) these four, `give_up` and `abandon` do nothing.
    """

    async def begin(self, transfer: Transfer) -> None:
        """Record the intent: from here on the store may hold something of this transfer.

        Raises JournalError if a transfer of this id is known. It is not replaced, because its row may be the only
        place that knows the id of an open upload.
        """

    async def opened(self, transfer_id: str, upload_id: str) -> None:
        """The store created the multipart upload."""

    async def part_done(self, transfer_id: str, part: Part) -> None:
        """The store confirmed this part; one of the same number is replaced."""

    async def completing(self, transfer_id: str, whole: Checksum | None, when: float) -> None:
        """Every part is recorded and the store is about to make the object visible, under this checksum.

        Written again with each repeat. From here on the outcome is unknown (`JournaledProgress.complete_requested`).
        """

    async def complete_refused(self, transfer_id: str) -> None:
        """The store answered that it did not make the object visible: the outcome is known."""

    async def finish(self, transfer_id: str, record: Record) -> None:
        """The transfer is done: forget it and its parts, and save the item's record, in one commit.

        For a transfer that is not known, the record is saved all the same.
        """

    async def abandon(self, transfer_id: str) -> None:
        """The transfer came to nothing and left nothing at the store: forget it and its parts."""

    async def give_up(self, transfer_id: str, when: float) -> None:
        """The transfer will not go on, and the store may hold something of it.

        It is kept with its parts, as given up at `when`, until it is abandoned; given up before, it keeps its time.
        """

    def given_up(self) -> AsyncIterator[Transfer]:
        """Transfers that were given up and not abandoned, streamed by id: the sweep of the stores looks for them."""

    def unfinished(self) -> AsyncIterator[Transfer]:
        """Unfinished transfers, streamed by id: those that run, and what a crash or an interruption left."""

    async def unfinished_of(self, item_id: str) -> Sequence[Transfer]:
        """The unfinished transfers of one item, the oldest first."""

    async def open_of(self, item_id: str) -> Sequence[Transfer]:
        """The unfinished and the given up transfers of one item, the oldest first."""

    async def parts(self, transfer_id: str) -> Sequence[Part]:
        """The parts done of an unfinished or given up transfer, ascending, with the checksums they were sent with."""


class Journal(JournalRecords, JournalTransfers, AbstractAsyncContextManager["Journal"], Protocol):
    """Everything: for whoever changes a transfer and its item's record together, and for whoever opens it."""
