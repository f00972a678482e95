"""The ports of one watched folder's loop.

Owns their names, so that intake, conflicts and pruning depend on these and not on each other.
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from mirrord.frozen import frozen
from mirrord.model import Item, Record, Revision
from mirrord.planning.decisions.claims import Claim
from mirrord.ports import Clock, FolderListing, Hints, JournalRecords, Observer

Submit = Callable[[Item], Awaitable[None]]
"""Have the item checked soon; once more if a check runs now. May wait while the queue is full."""


@frozen
class Rival:
    """A source that has precedence for an object. `same_file`: it is the file itself, found on another way."""

    text: str
    same_file: bool = False


Taken = Callable[[Item, Claim | None, Record | None], Awaitable[Rival | None]]
"""Which other entry in force (a mirror, another folder's file) has this item's object; None if none has. `Claim`: that
of the file; None: the file is gone."""


class Arrive(Protocol):
    """Called before a file without a record is submitted, with its revision."""

    def __call__(self, item: Item, revision: Revision, *, just_appeared: bool) -> object: ...


async def not_taken(item: Item, claim: Claim | None, record: Record | None) -> Rival | None:  # noqa: ARG001 - `Taken`
    """`Taken` where there is one folder and nothing else."""
    return None


def unexpected(item: Item, revision: Revision, *, just_appeared: bool) -> None:
    """`Arrive` where nothing depends on it."""


async def nothing() -> None:
    """`FolderPorts.resume` where files are never set aside."""


@frozen(kw_only=True)
class FolderPorts:
    """The ports of a folder's loop. `watch` raises OSError if events are not available."""

    listing: FolderListing
    watch: Callable[[], AbstractAsyncContextManager[Hints]]
    journal: JournalRecords
    submit: Submit
    observer: Observer
    clock: Clock
    taken: Taken = not_taken
    arrive: Arrive = unexpected
    resume: Callable[[], Awaitable[None]] = nothing
    """Finish the removal of files that the last whole scan found set aside. Raises JournalError."""
