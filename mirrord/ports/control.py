"""The interface of a running daemon for its web page, its API and signals."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from mirrord.events import Event
from mirrord.model import EVERY, ItemFilter, ItemOrder, ItemPlace, State
from mirrord.status import (
    EntryPage,
    FileStatus,
    ItemHistory,
    ItemPage,
    ItemStatus,
    Restored,
    SortedPage,
    Status,
)


class Control(Protocol):
    """A running daemon. Implemented by `daemon`."""

    def not_ready(self) -> str | None:
        """None when ready: a valid manifest is in force, the journal is writable, and mirrord is not stopping. Else the
        reason."""

    async def status(self) -> Status: ...

    async def items(
        self,
        *,
        state: State | None = None,
        entry: str | None = None,
        text: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> ItemPage:
        """Items by id after `cursor`; `text` is searched in key, source and entry. `limit` is from 1 to 1000."""

    async def sorted_items(
        self, order: ItemOrder, wanted: ItemFilter = EVERY, after: ItemPlace | None = None, limit: int = 100
    ) -> SortedPage:
        """Items behind the place `after`, in this order. `limit` is from 1 to 1000. A page of a million items may take
        seconds; it may then be up to 30 s old."""

    async def entries(self, *, cursor: str | None = None, limit: int = 100) -> EntryPage:
        """Entries of the manifests in force by name after `cursor`, which is a name. `limit` is from 1 to 1000."""

    async def item(self, item_id: str) -> ItemStatus | None: ...

    async def history(self, item_id: str) -> ItemHistory | None:
        """The objects that the item had, failed attempts, and the versions of the store. Empty for a file that waits in
        its folder; None: there is no such item."""

    async def restore(self, item_id: str, version_id: str) -> Restored | None:
        """Make a version of the item's object current, once its running check has ended; None: there is no such item.
        Raises RestoreRefused and StoreError."""

    def subscribe(self) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """Events from now on. A slow subscriber loses the oldest events and never delays the core."""

    async def trigger(self, item_id: str) -> bool:
        """Check the item now; False if there is no such item."""

    def trigger_entry(self, entry: str) -> bool:
        """Read the list, or scan the folder, of this name now; False if there is none."""

    async def reload(self) -> Sequence[FileStatus]:
        """Read the manifests again now; returns the state of each file."""
