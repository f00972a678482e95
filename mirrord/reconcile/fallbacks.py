"""One check of an item with several sources: they are asked in order, until one serves the item.

Owns the loop, and the log line when a fallback takes over. The check itself is the reconciler's; the rules are in
`planning.decisions.fallbacks`. What an earlier source left at the store is discarded by the copy of another one:
`planning.transfers.resume` joins no bytes of two sources.
"""

from collections.abc import Awaitable, Callable, Sequence
from logging import getLogger

from mirrord.errors import Reason
from mirrord.events import ItemRetrying
from mirrord.model import Item, Outcome, Record
from mirrord.planning.decisions.fallbacks import Unserved, why
from mirrord.ports import JournalQueries

_log = getLogger(__name__)

Check = Callable[[Item], Awaitable[Outcome]]
"""The check of an item with its `origin` alone. Raises SourceSkipped if that does not serve it, and JournalError."""


class SourceSkipped(Exception):
    """A source does not serve the item: the next one is asked. `outcome`: as if the item had no other."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.message)
        self.outcome = outcome


async def first_served(
    order: Sequence[Item], check: Check, unserved: list[Unserved], journal: JournalQueries
) -> Outcome | None:
    """The outcome of the first check that a source serves, or that no source can change; None: none serves.

    `order` is the item with each of its sources. Those that do not serve it are added to `unserved`.
    """
    for one in order:
        before = await journal.record(one.id) if unserved else None
        try:
            outcome = await check(one)
        except SourceSkipped as skipped:
            unserved.append(Unserved(one.shown_source, skipped.outcome))
            continue
        if not outcome.tried and outcome.reason is Reason.SOURCE_UNAVAILABLE:
            unserved.append(Unserved(one.shown_source, outcome))
            continue
        if unserved:
            _log_takeover(one, before, await journal.record(one.id), unserved)
        return outcome
    return None


def _log_takeover(item: Item, before: Record | None, now: Record | None, unserved: Sequence[Unserved]) -> None:
    source = item.shown_source
    if now is not None and now.source == source and (before is None or before.source != source):
        reasons = "; ".join(map(why, unserved))
        _log.warning("%s: %s serves it: %s", item.destination, source, reasons, extra={"item": item.id})


def retrying(item: Item, outcome: Outcome, attempt: int) -> ItemRetrying:
    """The event of an attempt in which no source served the item."""
    return ItemRetrying(
        item=item,
        reason=outcome.reason or Reason.SOURCE_UNAVAILABLE,
        message=outcome.message,
        attempt=attempt,
        retry_in=outcome.retry_in,
    )
