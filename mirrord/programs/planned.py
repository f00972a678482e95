"""One pass of a program that checks everything once: its options, its parts, and what it hands on.

Owns the data that `snapshot` and `folder_pass` share.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mirrord.declared import FolderSpec
from mirrord.engine.local_files import LocalFiles
from mirrord.errors import Reason
from mirrord.frozen import frozen
from mirrord.model import Item, Outcome, State
from mirrord.ports import Clock, Found, Journal, Observer
from mirrord.programs.desired import Desired
from mirrord.programs.leaving import ProgramItems
from mirrord.programs.report_file import ReportFile
from mirrord.reconcile.file_batch import NewFile
from mirrord.reconcile.store_listings import StoreListings


@frozen
class PlannedItem:
    """An item, and the outcome if it must wait; None: it may be transferred."""

    item: Item
    waits: Outcome | None = None
    failed: Outcome | None = None
    """The outcome of a first attempt that failed."""
    file: str = ""
    """The manifest that an item left."""


def guarded(why: str) -> Outcome:
    """The outcome of an item whose deletion the prune guard refuses."""
    return Outcome(state=State.BLOCKED, reason=Reason.PRUNE_GUARD, message=why)


class Batches(Protocol):
    """Sends new small files together, beside the checks of items."""

    async def add(self, files: Sequence[NewFile]) -> None:
        """Send these files of one folder."""

    def taken_left(self) -> Iterator[PlannedItem]:
        """The items that need a check of their own after all, so far."""

    def rest(self) -> AsyncIterator[PlannedItem]:
        """The same, until all files have ended."""


@frozen(kw_only=True)
class SnapshotOptions:
    """The options of a snapshot."""

    cause: str
    """The program's name, for the event of each folder's scan."""
    only: Sequence[str]
    """Globs on entry names and keys; empty: everything."""
    prune_max: float | None = None
    """The share of an entry's objects, from 0 to 1, that may be deleted; None: the default of the prune guard."""
    reads_only: bool = False
    """Record nothing."""
    file: ReportFile | None = None
    """Gets the items of the pass that are none of `Snapshot.items`."""


@dataclass(slots=True, kw_only=True)
class Pass:
    """What the parts of one pass share."""

    desired: Desired
    journal: Journal
    clock: Clock
    observer: Observer
    options: SnapshotOptions
    files: LocalFiles
    listings: StoreListings
    resume: Callable[[FolderSpec, Sequence[Found]], Awaitable[None]] | None = None
    """Continues with files that `after_upload` had put into quarantine; None: they are left."""
    batches: Batches | None = None
    """Sends new small files; None: each of them is an item."""
    declared: ProgramItems = field(init=False)
    """The items of mirrors and lists, by id."""
    unchanged: int = field(default=0, init=False)
    """Files that are as recorded, and whose objects a listing showed: they are no `items`."""
    guarded: int = field(default=0, init=False)
    """Items of `also_blocked`."""
    incomplete: list[str] = field(default_factory=list, init=False)
    """Folders and lists that could not be read completely, and bad rows of lists, each with the reason."""

    def __post_init__(self) -> None:
        self.declared = ProgramItems(self.desired)

    async def also_blocked(self, item: Item, why: str) -> None:
        """One more item whose deletion is refused: it is counted, and in the report. Raises JournalError."""
        self.guarded += 1
        if self.options.file is not None:
            self.options.file.add(item, guarded(why))
            await self.options.file.flush(self.journal)
