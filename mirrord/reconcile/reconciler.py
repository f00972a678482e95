"""One check of one item: observe source and store, decide, carry the decision out, record the result.

Owns the order of the steps and the item's record: the only place that writes an item's state. The rules are in
`planning.decisions.decide`; `transfer.copy` moves the bytes. Returns an `Outcome`, and leaves the time of the next
check to `scheduling`.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import field, replace
from logging import getLogger
from math import inf
from typing import Protocol

from mirrord.errors import (
    ConditionRefused,
    DeclaredMismatch,
    JournalError,
    MirrordError,
    PreconditionFailed,
    Reason,
    Recovery,
    SourceMissing,
    StoreError,
)
from mirrord.events import ItemBlocked, ItemChanged, ItemDrifted, ItemUnchanged
from mirrord.frozen import frozen
from mirrord.model import Destination, FormerSource, Item, Observed, Outcome, Record, State, StoredObject, Transfer
from mirrord.planning.decisions.adoption import SameBytes
from mirrord.planning.decisions.decide import DRIFT_EVERY, Action, options_digest
from mirrord.planning.decisions.fallbacks import Unserved, moves_on, none_serves
from mirrord.planning.decisions.listed import Verdict
from mirrord.planning.decisions.object_identity import with_shown_etag
from mirrord.ports import Clock, Journal, ObjectStore, Observer, Source
from mirrord.reconcile.adoption import Differing
from mirrord.reconcile.breakers import Breakers
from mirrord.reconcile.fallbacks import SourceSkipped, first_served, retrying
from mirrord.reconcile.observation import Listed, Listings, NoListings, Observation, not_listed, observe
from mirrord.reconcile.records import came_back, is_news, touched, with_adopted, with_outcome, with_revision
from mirrord.reconcile.removal import KEPT, ObjectRemoval
from mirrord.reconcile.reuse import CopySourceGuard
from mirrord.reconcile.transfer_attempt import TransferAttempt, internal_error
from mirrord.transfer.conditions import RefusedConditions

_log = getLogger(__name__)

StoreOf = Callable[[Item], Awaitable[ObjectStore]]
SourceOf = Callable[[Item], Source]
Retry = Callable[[int, float | None], float | None]
"""(failures so far from 1, Retry-After) -> seconds until the next attempt; None: this was the last one."""


class Actions(Protocol):
    """The last step of a check, which changes the store. `Transfers` carries it out; `DryRun` withholds and reports it.

    `source` and `store` are those of the attempt's item."""

    @property
    def copy_sources(self) -> CopySourceGuard: ...

    @property
    def refused_conditions(self) -> RefusedConditions: ...

    async def resolve(self, attempt: TransferAttempt, store: ObjectStore) -> Sequence[Transfer]:
        """End those of the item's unfinished transfers that are done; returns the others. Updates `attempt.record`."""

    async def equal(self, source: Source, observed: Observed, record: Record) -> bool:
        """Whether the source has the bytes that were recorded. Raises SourceError."""

    async def same_bytes(self, item: Item, source: Source, store: ObjectStore, seen: Observation) -> SameBytes | None:
        """What shows that the object that was found, and is not recorded, has the source's bytes; None: nothing does.
        Writes nothing. Raises SourceError."""

    async def copy(
        self,
        attempt: TransferAttempt,
        source: Source,
        store: ObjectStore,
        seen: Observation,
        unfinished: Sequence[Transfer] = (),
    ) -> Outcome:
        """Make the object equal to the source, or rewrite it (`seen.decision`); resume one of `unfinished` if that is
        possible."""

    async def discard(self, transfer: Transfer, store: ObjectStore, item: Item) -> None:
        """Give up an unfinished transfer that does not run."""

    async def delete(self, store: ObjectStore, at: Destination, etag: str) -> bool:
        """Delete the object with this ETag, which a HEAD showed just now. Returns whether only a delete marker was
        made. Raises StoreError."""


def _is_written(seen: Observation) -> bool:
    """Whether the object is copied; a rewrite needs no source that changed."""
    return seen.decision.action is Action.REWRITE or (seen.decision.writes and seen.observed is not None)


def outcome_of_error(error: MirrordError, failures: int, retry: Retry) -> Outcome:
    """Retrying after a transient error, also after the last attempt for now; Blocked after a permanent one."""
    if error.recovery in (Recovery.RETRY, Recovery.RESTART):
        retry_in = retry(failures, error.retry_after)
        return Outcome(state=State.RETRYING, reason=error.reason, message=str(error), retry_in=retry_in)
    return Outcome(state=State.BLOCKED, reason=error.reason, message=str(error))


@frozen(kw_only=True)
class Reconciler:
    """Makes one item's object equal to its source. Different items may be checked at once, one item never twice."""

    journal: Journal
    store_of: StoreOf
    source_of: SourceOf
    transfers: Actions
    observer: Observer
    clock: Clock
    retry: Retry
    breakers: Breakers = field(default_factory=Breakers)
    listings: Listings = field(default_factory=NoListings)
    _asked: dict[str, float] = field(default_factory=dict)
    """By item id, of items that are checked more often than their objects: when the last HEAD was sent."""
    _differing: Differing = field(default_factory=Differing)

    async def reconcile(self, item: Item, failures: int = 0, *, fallbacks: bool = True) -> Outcome:
        """One check of `item`, after `failures` attempts in a row that failed. Raises JournalError only.

        While the item waits for a breaker, no request is sent, and nothing is recorded. Without `fallbacks` only its
        `origin` is asked; raises SourceSkipped if that does not serve an item with several sources.
        """
        if item.options.suspend:
            return await self._record(item, await self.journal.record(item.id), Outcome(state=State.SUSPENDED))
        if item.urls and fallbacks:
            return await self._with_fallbacks(item, failures)
        waits = self.breakers.admit(item, self.clock.monotonic(), fresh=not failures)
        if waits is not None:
            return waits
        attempt = TransferAttempt.of(item, failures + 1, self.observer, self.clock)
        try:
            with attempt.reported_end():
                try:
                    return await self._check(attempt)
                except JournalError:
                    raise
                except Exception as error:  # noqa: BLE001 - a fault in one item must not stop the others
                    return await self._failed(attempt, error)
        finally:
            self.breakers.leave(item)

    async def _with_fallbacks(self, item: Item, failures: int) -> Outcome:
        """The check with the first of the item's sources that serves it. One whose host is held back is asked last."""

        async def check(one: Item) -> Outcome:
            return await self.reconcile(one, failures, fallbacks=False)

        order = self.breakers.in_order(item.alternatives, self.clock.monotonic(), fresh=not failures)
        unserved: list[Unserved] = []
        if (outcome := await first_served(order, check, unserved, self.journal)) is not None:
            return outcome
        outcome = none_serves(unserved)
        if not outcome.tried:
            return outcome
        if outcome.state is State.BLOCKED:
            await self._give_up(item)
        else:
            self.observer(retrying(item, outcome, failures + 1))
        return await self._record(item, await self.journal.record(item.id), outcome)

    async def record_failed(self, item: Item, outcome: Outcome) -> Outcome:
        """Record the outcome of a first attempt that failed in a batch. Raises JournalError."""
        return await self._record(item, await self.journal.record(item.id), outcome)

    async def _check(self, attempt: TransferAttempt) -> Outcome:
        """Observe, decide, act. Raises what the source, the store and the journal raise."""
        item = attempt.item
        await self.journal.remember_options(options_digest(item.options.object), item.options.object)
        attempt.record = known = came_back(item, await self.journal.record(item.id))
        store = await self.store_of(item)
        unfinished = await self.transfers.resolve(attempt, store)
        if attempt.record is not known:  # made from a HEAD just now
            self._asked[item.id] = self.clock.monotonic()
        if item.gone:
            return await self._removed(item, attempt.record, store)
        async with self.source_of(item) as source:
            seen = await self._observed(attempt, store, source, self._listed)
            if _is_written(seen):
                try:
                    return self._copied(item, await self.transfers.copy(attempt, source, store, seen, unfinished))
                except (PreconditionFailed, ConditionRefused) as error:
                    if isinstance(error, PreconditionFailed) and not seen.unlisted:
                        raise
                    refusal = error
                return await self._check_again(attempt, source, store, refusal)
        if not seen.decision.writes and unfinished:
            await self._give_up(item)
        return await self._without_copy(item, seen)

    async def _check_again(
        self, attempt: TransferAttempt, source: Source, store: ObjectStore, refusal: StoreError
    ) -> Outcome:
        """A HEAD and a new decision, after a write was refused because of its If-None-Match: there is an object at the
        key, or the store does not support the condition."""
        item = attempt.item
        without: AbstractContextManager[None] = nullcontext()
        if attempt.running:
            attempt.failed(refusal, 0.0)
        await self._give_up(item)
        attempt.renew()
        seen = await self._observed(attempt, store, source, not_listed)
        if not _is_written(seen):
            return await self._without_copy(item, seen)
        if isinstance(refusal, ConditionRefused):
            without = self.transfers.refused_conditions.tried_without(item.destination.endpoint)
        with without:
            return self._copied(item, await self.transfers.copy(attempt, source, store, seen))

    async def _observed(
        self, attempt: TransferAttempt, store: ObjectStore, source: Source, listed: Listed
    ) -> Observation:
        """The observation, its bytes compared where only they can show whether the source changed."""
        item, now = attempt.item, self.clock.monotonic()
        since_asked = now - self._asked.get(item.id, -inf)
        seen = await observe(item, attempt.record, store, source, since_asked=since_asked, listed=listed)
        if self.listings.answered_since(item, now):
            seen = replace(seen, listed=True)
        self._remember(item, seen.asked, now)
        self._answered(item, seen)
        if seen.decision.action is Action.COMPARE:
            seen = await self._compared(item, store, source, seen)
        if seen.decision.drifted:
            self.observer(ItemDrifted(item=item, message=seen.decision.message))
        return seen

    async def _compared(self, item: Item, store: ObjectStore, source: Source, seen: Observation) -> Observation:
        observed, record, stored = seen.observed, seen.record, seen.stored
        if observed is not None and record is not None and record.revision is not None:
            equal = await self.transfers.equal(source, observed, record)
            if not equal and item.urls and item.declared_sha256 is not None:
                raise DeclaredMismatch("the source's bytes are not the declared ones")
            return seen.compared(item, equal=equal)
        if observed is None or stored is None or self._differing.has(item, stored, observed.revision):
            return seen.compared(item, equal=False)
        same = await self.transfers.same_bytes(item, source, store, seen)
        if same is None:
            self._differing.add(item, stored, observed.revision)
        return seen.compared(item, equal=same is not None, same=same)

    async def _listed(self, item: Item, record: Record | None) -> Verdict:
        """What a listing shows; a store that refuses conditional writes needs a HEAD before each write."""
        verdict = await self.listings.verdict(item, record)
        refuses = item.destination.endpoint in self.transfers.refused_conditions
        return Verdict.UNKNOWN if refuses and verdict.is_free else verdict

    def _answered(self, item: Item, seen: Observation) -> None:
        """Source and store answered; a store that answers reads may still refuse writes."""
        writes = seen.decision.writes
        self.breakers.answered(item, self.clock.monotonic(), store=seen.store_answered and not writes)
        if seen.store_answered and writes:
            self.breakers.reached(item)

    def _copied(self, item: Item, outcome: Outcome) -> Outcome:
        self.breakers.answered(item, self.clock.monotonic(), store=True)
        self._changed(item, outcome)
        return outcome

    async def _without_copy(self, item: Item, seen: Observation) -> Outcome:
        match seen.decision.action:
            case Action.ADOPT if seen.observed is not None and seen.stored is not None:
                return await self._adopt(item, seen, seen.observed, seen.stored)
            case Action.BLOCK:
                reason, message = seen.decision.reason, seen.decision.message
                return await self._record(
                    item, seen.record, Outcome(state=State.BLOCKED, reason=reason, message=message)
                )
        return await self._kept(item, seen)

    async def _kept(self, item: Item, seen: Observation) -> Outcome:
        """The object is as it should be. Record the state of a source that was touched, and the ETags that a HEAD and a
        listing showed for the first time."""
        self.observer(ItemUnchanged(item=item, store_answered=seen.store_answered))
        record, outcome = seen.record, Outcome(state=State.SYNCED, message=seen.denied)
        if record is not None and seen.stored is not None:
            shown = with_shown_etag(record, seen.stored, self.listings.shown_etag(item, seen.stored, record))
            if shown is not record:
                record = shown
                await self.journal.save(record)
        if record is None or seen.observed is None or not touched(item, record, seen.observed):
            return await self._record(item, record, outcome)
        await self.journal.save(with_revision(item, record, seen.observed, self.clock.now()))
        if is_news(record, outcome):
            self._changed(item, outcome)
        return outcome

    async def _removed(self, item: Item, record: Record | None, store: ObjectStore) -> Outcome:
        if item.id in self.transfers.copy_sources:  # copied to the new name of its file: a later scan removes it
            return KEPT
        await self._give_up(item)
        removal = ObjectRemoval(self.journal, self.observer, self.clock, self.transfers.delete)
        if not isinstance(item.origin, FormerSource):
            async with self.source_of(item) as source:
                return await removal.remove_gone(item, record, store, source)
        listed = item.origin.listed  # a listing that lacks it proves no deletion
        if listed is not None and await (await self._store_at(item, listed)).head_object(listed) is not None:
            message = f"its source {listed} is there, although the listing lacks it: its object stays"
            return await self._record(
                item, record, Outcome(state=State.BLOCKED, reason=Reason.CONFLICT, message=message)
            )
        wanted = [(at, await self._store_at(item, at)) for at in item.origin.wanted]
        return await removal.remove_left(item, record, store, wanted)

    async def _store_at(self, item: Item, at: Destination) -> ObjectStore:
        """The store of another object than the item's."""
        return await self.store_of(replace(item, destination=at))

    async def _file_gone(self, item: Item, record: Record | None) -> Outcome:
        """A folder's file was deleted before it was sent. This is no failure: an existing object stays; without one,
        the item is dropped.

        If the file comes back, its folder finds it; `delete: mirror` deletes the object.
        """
        self.breakers.answered(item, self.clock.monotonic(), store=False)
        if record is not None and record.object.etag is not None:
            return await self._record(item, record, Outcome(state=State.SYNCED))
        await self.journal.retire([item.id], self.clock.now())
        return Outcome(state=State.SYNCED)

    def _remember(self, item: Item, asked: bool, now: float) -> None:
        if asked and (every := item.options.schedule.every) is not None and every < DRIFT_EVERY:
            self._asked[item.id] = now

    async def _give_up(self, item: Item) -> None:
        """No copy is due, or none is possible: remove what earlier attempts left at the store, as far as it answers."""
        for transfer in await self.journal.unfinished_of(item.id):
            with suppress(StoreError):
                await self.transfers.discard(transfer, await self.store_of(item), item)

    async def _adopt(self, item: Item, seen: Observation, observed: Observed, stored: StoredObject) -> Outcome:
        """Record an object that already holds this revision: the journal was lost, or another tool wrote it."""
        await self.journal.save(with_adopted(item, observed, stored, self.clock.now(), seen.same))
        self.observer(ItemUnchanged(item=item))
        return Outcome(state=State.SYNCED, message=seen.decision.message, adopted=True)

    async def _failed(self, attempt: TransferAttempt, error: Exception) -> Outcome:
        """The outcome of an attempt that raised `error`, recorded."""
        item = attempt.item
        if not isinstance(error, MirrordError):
            _log.error("internal error", exc_info=error, extra={"item": item.id})
            return await self._record_failure(attempt, internal_error(error))
        if item.urls and moves_on(error):
            outcome = self._ended(attempt, error)
            if attempt.running:
                attempt.failed(error, 0.0)
            raise SourceSkipped(outcome) from error
        if error.recovery is Recovery.BLOCK:
            await self._give_up(item)
        if item.folder_file is not None and isinstance(error, SourceMissing):
            return await self._file_gone(item, attempt.record)
        return await self._record_failure(attempt, error)

    async def _record_failure(self, attempt: TransferAttempt, error: MirrordError) -> Outcome:
        outcome = self._ended(attempt, error)
        if attempt.running or outcome.state is State.RETRYING:
            attempt.failed(error, outcome.retry_in)
        await self._record(attempt.item, attempt.record, outcome)
        await self.journal.outbox.flush(attempt.item.id)  # where the record did not change
        return outcome

    def _ended(self, attempt: TransferAttempt, error: MirrordError) -> Outcome:
        item, fresh = attempt.item, attempt.number == 1
        outage = self.breakers.failed(item, error, self.clock.monotonic(), begun=attempt.running, fresh=fresh)
        return outage or outcome_of_error(error, attempt.number, self.retry)

    async def _record(self, item: Item, record: Record | None, outcome: Outcome) -> Outcome:
        """Record the state if it changed."""
        news = is_news(record, outcome)
        if outcome.state is State.BLOCKED and outcome.reason is not None:
            self.observer(ItemBlocked(item=item, reason=outcome.reason, message=outcome.message))
        if news or (record is not None and record.entry != item.entry):
            await self.journal.save(with_outcome(item, record, outcome, self.clock.now()))
        if news:
            self._changed(item, outcome)
        return outcome

    def _changed(self, item: Item, outcome: Outcome) -> None:
        self.observer(ItemChanged(item=item, state=outcome.state, reason=outcome.reason, message=outcome.message))
