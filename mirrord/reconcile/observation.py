"""What one check of an item observed, and the decision that follows from it. Reads only."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from math import inf
from typing import Protocol

from mirrord.errors import ActionDenied
from mirrord.frozen import frozen
from mirrord.model import Item, Observed, Overwrite, Record, StoredObject
from mirrord.planning.decisions.adoption import SameBytes
from mirrord.planning.decisions.decide import Action, Decision, decide, known_revision, needs_head, spares_denied_head
from mirrord.planning.decisions.listed import Verdict, spares_head, suffices
from mirrord.ports import ObjectStore, Source

Listed = Callable[[Item, Record | None], Awaitable[Verdict]]
"""What a listing shows of the item's object; UNKNOWN: a HEAD is needed. Raises JournalError; StoreUnavailable if the
store does not answer, so that a HEAD is in vain."""


async def not_listed(item: Item, record: Record | None) -> Verdict:  # noqa: ARG001 - the signature of `Listed`
    """`Listed` without listings."""
    return Verdict.UNKNOWN


class Listings(Protocol):
    """What listings of the store show of items."""

    async def verdict(self, item: Item, record: Record | None) -> Verdict:
        """See `Listed`."""

    def answered_since(self, item: Item, moment: float) -> bool:
        """Whether the store answered a listing for the item since `moment` (monotonic)."""

    def shown_etag(self, item: Item, stored: StoredObject, record: Record) -> str | None:
        """The ETag of the item's object in the last listing, if it has the recorded size and another ETag, and is the
        object that a HEAD showed, `stored`."""


class NoListings:
    """`Listings` where none are made."""

    verdict = staticmethod(not_listed)

    def answered_since(self, item: Item, moment: float) -> bool:  # noqa: ARG002 - the protocol's
        return False

    def shown_etag(self, item: Item, stored: StoredObject, record: Record) -> None:  # noqa: ARG002 - the protocol's
        return None


@frozen
class Observation:
    """An item as one check found it."""

    record: Record | None
    stored: StoredObject | None
    """The object at the item's key; None: there is none, or no HEAD was sent."""
    observed: Observed | None
    """The source; None: it still is the recorded revision."""
    decision: Decision
    asked: bool
    """Whether a HEAD was sent."""
    unlisted: bool = False
    """No HEAD was sent, because the key is free or probably is: the write needs If-None-Match."""
    listed: bool = False
    """Whether the store answered a listing during the check."""
    denied: str = ""
    """Why the store did not show the object to a HEAD, and the check went on without."""
    same: SameBytes | None = None
    """Of an object that is not recorded: what showed that it has the source's bytes."""

    @property
    def store_answered(self) -> bool:
        return self.asked or self.listed

    @property
    def length(self) -> int | None:
        """Bytes of the source; None if it is not known."""
        if self.observed is not None:
            return self.observed.revision.length
        return self.record.revision.length if self.record is not None and self.record.revision is not None else None

    def compared(self, item: Item, *, equal: bool, same: SameBytes | None = None) -> "Observation":
        """The same observation, after the source's bytes were compared with those of the object."""
        decision = decide(item, self.record, self.stored, self.observed, asked=self.asked, equal=equal)
        return replace(self, decision=decision, same=same)


async def observe(
    item: Item,
    record: Record | None,
    store: ObjectStore,
    source: Source,
    *,
    since_asked: float = inf,
    listed: Listed = not_listed,
) -> Observation:
    """Observe and decide: one GET and at most one HEAD, none if the last one, `since_asked` seconds ago, is recent, or
    if a listing spares it.

    Raises StoreError, SourceError and JournalError.
    """
    needed = needs_head(item, record, since_asked)
    verdict = await listed(item, record) if needed else Verdict.UNKNOWN
    conditions = store.provider.conditional_puts
    asked = needed and not spares_head(record, item.options.overwrite, verdict, conditions=conditions)
    stored, denied = await _head(item, record, store) if asked else (None, "")
    asked = asked and not denied
    observed = await source.probe(known_revision(item, record, stored, asked=asked))
    decision = decide(item, record, stored, observed, asked=asked)
    if needed and not asked and not denied and not suffices(verdict, decision, observed):
        stored, denied = await _head(item, record, store)
        asked = not denied
        decision = decide(item, record, stored, observed, asked=asked)
    if decision.action is Action.COPY and observed is None:  # drift that a known revision cannot repair
        observed = await source.probe(None)
    free = verdict.is_free
    if denied:
        free, decision = item.options.overwrite is not Overwrite.ALWAYS, _unseen(record, decision)
    return Observation(record, stored, observed, decision, asked, unlisted=not asked and free, denied=denied)


def _unseen(record: Record | None, decision: Decision) -> Decision:
    """The decision of a check whose HEAD was denied."""
    first = record is None or record.revision is None
    return replace(decision, message="HEAD is denied, so no object is known") if first else decision


async def _shown(item: Item, record: Record | None, store: ObjectStore) -> StoredObject | None:
    """The object; with the key (SSE-C) that it was written with, if the manifest names another one now."""
    stored = await store.head_object(item.destination)
    if stored is None or not stored.other_key or record is None:
        return stored
    former = item.destination.keyed(record.object_at.customer_key)
    return stored if former.customer_key == item.destination.customer_key else await store.head_object(former)


async def _head(item: Item, record: Record | None, store: ObjectStore) -> tuple[StoredObject | None, str]:
    """The object, or why the store denied to show it. Raises StoreError."""
    try:
        return await _shown(item, record, store), ""
    except ActionDenied as error:
        if not spares_denied_head(item, record, conditions=store.provider.conditional_puts):
            raise
        return None, str(error)
