"""What one watched folder's loop is given to work with.

Owns the names of its seams, so that whoever stands on the way of a file (arrivals, conflicts, pruning) knows these and
not each other.
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from mirrord.model import Item, Record
from mirrord.ports import Clock, FolderListing, Hints, JournalRecords, Observer

Submit = Callable[[Item], Awaitable[None]]
"""Have the item looked at soon, once more if it is looked at now. May wait, to hold up who finds more than is done."""
Taken = Callable[[Item, Record | None], Awaitable[str]]
"""Who else in force has this item's object (a mirror, another folder's file), in words; empty if nobody."""


async def nobody(item: Item, record: Record | None) -> str:  # noqa: ARG001
    """`Taken` where there is one folder and nothing else."""
    return ""


async def nothing() -> None:
    """`FolderPorts.resume` where no file is ever set aside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderPorts:
    """What a folder's loop works with. `watch` may raise OSError where events are not to be had."""

    listing: FolderListing
    watch: Callable[[], AbstractAsyncContextManager[Hints]]
    journal: JournalRecords
    submit: Submit
    observer: Observer
    clock: Clock
    taken: Taken = nobody
    resume: Callable[[], Awaitable[None]] = nothing
    """Go on with files that the last whole scan found set aside on their way out. Raises JournalError."""
