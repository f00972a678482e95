"""The work that processes with one journal share: tickets of the one that has the state, which the others take.

Owns the guarantees of every implementation. Each call has committed when it returns, and raises JournalError and its
children; after JournalUnavailable it may have committed, and is repeated. JournalTakenOver: this process lost its lease
and does nothing more.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from mirrord.frozen import frozen
from mirrord.model import Outcome
from mirrord.status import WorkerStatus

MOST_WORKS = 200
"""Items of one ticket."""


@frozen
class Work:
    """One item to check. `definition`: the digest of what the manifests say of it (`planning.items.definition`)."""

    item_id: str
    definition: str
    failures: int = 0


@frozen
class Ticket:
    """Items that one worker checks. Its number never has another meaning."""

    number: int
    works: tuple[Work, ...]


@frozen
class TicketReport:
    """What became of items of a ticket. None: the worker did not check the item. `last`: the ticket has ended."""

    ticket: int
    outcomes: Mapping[str, Outcome | None]
    last: bool


class SharedTickets(Protocol):
    """The calls of the process that has the state. One call at a time."""

    @property
    def first(self) -> int:
        """The least number of a ticket that this process offers. No other process offers one from it on."""

    async def offer(self, tickets: Sequence[Ticket]) -> None:
        """Add tickets. Repeating it adds nothing twice, also if a ticket ended and its report was not read."""

    async def reports(self) -> Sequence[TicketReport]:
        """Reports that were not returned by an earlier call, the oldest first; up to some hundreds."""

    async def stop(self, tickets: Mapping[int, Collection[str]]) -> None:
        """Ask the workers of these tickets to end the checks of these items; their reports follow. A ticket that is not
        taken is removed without a report, and one that has ended is ignored: see `unfinished`."""

    async def unfinished(self) -> Collection[int]:
        """The numbers of all tickets that have not ended, taken or not."""

    async def taken(self) -> Sequence[Ticket]:
        """Those that workers have, from before this process had the state, with the items that were not reported."""

    async def sweep(self) -> Sequence[WorkerStatus]:
        """End the leases of workers that are dead or paused, and remove their tickets, and those that a former owner of
        the state offered and no worker took. Returns the workers that live."""


class WorkerTickets(Protocol):
    """The calls of a worker. They may overlap."""

    async def take(self, most: int, running: Collection[int]) -> Sequence[Ticket]:
        """Take up to `most` tickets. Returns all that this worker has, without those that are `running`."""

    async def stopped(self) -> Mapping[int, Collection[str]]:
        """The items, by ticket of this worker, whose checks are to end."""

    async def report(self, reports: Sequence[TicketReport]) -> None:
        """Tell what became of items. A `last` report ends its ticket."""
