"""One item at a time: observe source and store, decide, carry the decision out, record what came of it.

Owns the order of the steps and the item's record: the only place that writes an item's state. The rules are in
`planning.decisions.decide`, the bytes in `transfer.copy`. Hands an `Outcome` to whoever schedules; raises JournalError
only.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from logging import getLogger
from math import inf
from typing import Protocol

from mirrord.errors import JournalError, MirrordError, Recovery, SourceMissing, StoreError
from mirrord.events import ItemBlocked, ItemChanged, ItemDrifted, ItemUnchanged
from mirrord.model import Destination, Item, Observed, Outcome, Record, State, StoredObject, Transfer
from mirrord.planning.decisions.decide import DRIFT_EVERY, Action, Decision, decide, known_revision, needs_head
from mirrord.planning.decisions.object_identity import with_shown_etag
from mirrord.ports import Clock, Journal, ObjectStore, Observer, Source
from mirrord.reconcile.breakers import Breakers
from mirrord.reconcile.errand import Attempt
from mirrord.reconcile.records import is_news, touched, with_adopted, with_outcome, with_revision
from mirrord.reconcile.removal import KEPT, Removal
from mirrord.reconcile.reuse import Lending
from mirrord.reconcile.told import Told, internal

_log = getLogger(__name__)

StoreOf = Callable[[Item], Awaitable[ObjectStore]]
SourceOf = Callable[[Item], Source]
Retry = Callable[[int, float | None], float | None]
"""(failures so far from 1, Retry-After) -> seconds until the next try, or None: this was the last."""


class Actions(Protocol):
    """The last step, which changes the store. `Transfers` carries it out, `DryRun` withholds and reports it."""

    @property
    def told(self) -> Told: ...

    @property
    def lending(self) -> Lending: ...

    async def settle(
        self, attempt: Attempt, store: ObjectStore, record: Record | None
    ) -> tuple[Record | None, Sequence[Transfer]]:
        """The item's record, and its unfinished transfers, once it is known which of them were done."""

    async def equal(self, source: Source, observed: Observed, record: Record) -> bool:
        """Whether the source has the bytes that were recorded. Raises SourceError."""

    async def copy(
        self,
        attempt: Attempt,
        source: Source,
        observed: Observed,
        store: ObjectStore,
        record: Record | None,
        left: Sequence[Transfer] = (),
    ) -> Outcome:
        """Make the object equal to the source, going on with one of the unfinished transfers `left` if one fits."""

    async def discard(self, transfer: Transfer, store: ObjectStore, item: Item | None = None) -> None:
        """Give up an unfinished transfer that does not run."""

    async def delete(self, store: ObjectStore, at: Destination) -> None:
        """Delete the object of an item whose file is gone. Raises StoreError."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at an item saw."""

    record: Record | None
    standing: StoredObject | None
    observed: Observed | None  # None: the source still is the recorded revision
    decision: Decision
    asked: bool  # whether the store was

    @property
    def touched(self) -> Observed | None:
        """What the source is now, where only its bytes can tell whether that is anything new."""
        return self.observed if self.decision.action is Action.COMPARE else None

    def compared(self, item: Item, *, equal: bool) -> "Look":
        """The same look, once the source's bytes were compared with the recorded ones."""
        decision = decide(item, self.record, self.standing, self.observed, asked=self.asked, equal=equal)
        return replace(self, decision=decision)


async def look(
    item: Item, record: Record | None, store: ObjectStore, source: Source, *, since_asked: float = inf
) -> Look:
    """Observe and decide; reads only. At most one HEAD, none if the store was asked just now, and one GET."""
    asked = needs_head(item, record, since_asked)
    standing = await store.head_object(item.destination) if asked else None
    observed = await source.probe(known_revision(item, record, standing, asked=asked))
    decision = decide(item, record, standing, observed, asked=asked)
    if decision.action is Action.COPY and observed is None:  # drift that is not ours to repair by a known revision
        observed = await source.probe(None)
    return Look(record, standing, observed, decision, asked)


def judge(error: MirrordError, failures: int, retry: Retry) -> Outcome:
    """A transient error is Retrying, even when this was the last try for now; a permanent one is Blocked."""
    if error.recovery in (Recovery.RETRY, Recovery.RESTART):
        retry_in = retry(failures, error.retry_after)
        return Outcome(state=State.RETRYING, reason=error.reason, message=str(error), retry_in=retry_in)
    return Outcome(state=State.BLOCKED, reason=error.reason, message=str(error))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciler:
    """Makes one item's object equal to its source. Safe to call for different items at once, never for the same."""

    journal: Journal
    store_of: StoreOf
    source_of: SourceOf
    transfers: Actions
    observer: Observer
    clock: Clock
    retry: Retry
    breakers: Breakers = field(default_factory=Breakers)
    _asked: dict[str, float] = field(default_factory=dict)
    """Of items that are looked at more often than their objects: when the store was last asked, by item id."""

    async def reconcile(self, item: Item, failures: int = 0) -> Outcome:
        """One look at `item`; `failures` tries before this one failed in a row.

        While a breaker holds the item back, nothing is looked at: the outcome is all that comes of it.
        """
        if item.options.suspend:
            return await self._settle(item, await self.journal.record(item.id), Outcome(state=State.SUSPENDED))
        held = self.breakers.held(item, self.clock.monotonic(), fresh=not failures)
        if held is not None:
            return held
        attempt = Attempt.of(item, failures + 1, self.clock)
        try:
            with self.transfers.told.ending(attempt):
                return await self._tried(item, attempt)
        finally:
            self.breakers.leave(item)

    async def _tried(self, item: Item, attempt: Attempt) -> Outcome:
        record = await self.journal.record(item.id)
        try:
            store = await self.store_of(item)
            record, left = await self.transfers.settle(attempt, store, record)
            if item.gone:
                return await self._removed(item, record, store)
            return await self._look_and_act(item, record, attempt, store, left)
        except JournalError:
            raise
        except MirrordError as error:
            if error.recovery is Recovery.BLOCK:
                await self._give_up(item)
            if item.folder_file is not None and isinstance(error, SourceMissing):
                return await self._vanished(item, record)
            return await self._failed(item, record, attempt, error)
        except Exception as error:  # noqa: BLE001 - a fault of ours in one item must not stop the others
            _log.exception("internal error", extra={"item": item.id})
            return await self._failed(item, record, attempt, internal(error))

    async def _look_and_act(
        self, item: Item, record: Record | None, attempt: Attempt, store: ObjectStore, left: Sequence[Transfer]
    ) -> Outcome:
        async with self.source_of(item) as source:
            now = self.clock.monotonic()
            seen = await look(item, record, store, source, since_asked=now - self._asked.get(item.id, -inf))
            self._remember(item, seen.asked, now)
            self._answered(item, seen)
            if record is not None and (changed := seen.touched):
                seen = seen.compared(item, equal=await self.transfers.equal(source, changed, record))
            attempt.vacant, attempt.why = seen.standing is None, seen.decision.message
            if seen.decision.drifted:
                self.observer(ItemDrifted(item=item, message=seen.decision.message))
            if seen.decision.action is not Action.COPY and left:
                await self._give_up(item)
            match seen.decision.action:
                case Action.COPY if seen.observed is not None:
                    outcome = await self.transfers.copy(attempt, source, seen.observed, store, record, left)
                    self.breakers.answered(item, self.clock.monotonic(), store=True)
                    self._changed(item, outcome)
                    return outcome
                case Action.ADOPT if seen.observed is not None and seen.standing is not None:
                    return await self._adopt(item, seen.observed, seen.standing)
                case Action.BLOCK:
                    decision = seen.decision
                    outcome = Outcome(state=State.BLOCKED, reason=decision.reason, message=decision.message)
                    return await self._settle(item, record, outcome)
        return await self._kept(item, record, seen.standing, seen.observed)

    def _answered(self, item: Item, seen: Look) -> None:
        """Source and store answered; a store that reads may still refuse to write."""
        writes = seen.decision.action is Action.COPY
        self.breakers.answered(item, self.clock.monotonic(), store=seen.asked and not writes)
        if seen.asked and writes:
            self.breakers.reached(item)

    async def _kept(
        self, item: Item, record: Record | None, standing: StoredObject | None, observed: Observed | None
    ) -> Outcome:
        """The object stands as it should. A source that was touched is known as it is now from here on, and so is an
        ETag that no HEAD had shown before."""
        self.observer(ItemUnchanged(item=item))
        outcome = Outcome(state=State.SYNCED)
        if record is not None and standing is not None and (shown := with_shown_etag(record, standing)) is not record:
            record = shown
            await self.journal.save(record)
        if record is None or observed is None or not touched(item, record, observed):
            return await self._settle(item, record, outcome)
        await self.journal.save(with_revision(item, record, observed, self.clock.now()))
        if is_news(record, outcome):
            self._changed(item, outcome)
        return outcome

    async def _removed(self, item: Item, record: Record | None, store: ObjectStore) -> Outcome:
        if item.id in self.transfers.lending:  # to the new name of its file: another scan will come
            return KEPT
        await self._give_up(item)
        removal = Removal(self.journal, self.observer, self.clock, self.transfers.delete)
        async with self.source_of(item) as source:
            return await removal.remove(item, record, store, source)

    async def _vanished(self, item: Item, record: Record | None) -> Outcome:
        """A folder's file went before it was sent, which nobody has to mend: what stands of it stays, or it is no item.

        Should the file come back, its folder finds it; should its object go too, `delete: mirror` does that.
        """
        self.breakers.answered(item, self.clock.monotonic(), store=False)
        if record is not None and record.object.etag is not None:
            return await self._settle(item, record, Outcome(state=State.SYNCED))
        await self.journal.retire([item.id], self.clock.now())
        return Outcome(state=State.SYNCED)

    def _remember(self, item: Item, asked: bool, now: float) -> None:
        if asked and (every := item.options.schedule.every) is not None and every < DRIFT_EVERY:
            self._asked[item.id] = now

    async def _give_up(self, item: Item) -> None:
        """No copy is due, or none can be made: what earlier attempts left at the store goes, as far as it answers."""
        for transfer in await self.journal.unfinished_of(item.id):
            with suppress(StoreError):
                await self.transfers.discard(transfer, await self.store_of(item), item)

    async def _adopt(self, item: Item, observed: Observed, standing: StoredObject) -> Outcome:
        """Take over an object that already holds this revision: the journal was lost, or is new."""
        await self.journal.save(with_adopted(item, observed, standing, self.clock.now()))
        self.observer(ItemUnchanged(item=item))
        return Outcome(state=State.SYNCED, adopted=True)

    async def _failed(self, item: Item, record: Record | None, attempt: Attempt, error: MirrordError) -> Outcome:
        begun, fresh = attempt.kind is not None, attempt.number == 1
        outage = self.breakers.failed(item, error, self.clock.monotonic(), begun=begun, fresh=fresh)
        outcome = outage or judge(error, attempt.number, self.retry)
        if attempt.running or outcome.state is State.RETRYING:
            self.transfers.told.failed(attempt, error, outcome.retry_in)
        return await self._settle(item, attempt.doubted or record, outcome)

    async def _settle(self, item: Item, record: Record | None, outcome: Outcome) -> Outcome:
        """Record the state, if it is news."""
        news = is_news(record, outcome)
        if outcome.state is State.BLOCKED and outcome.reason is not None:
            self.observer(ItemBlocked(item=item, reason=outcome.reason, message=outcome.message))
        if news:
            await self.journal.save(with_outcome(item, record, outcome, self.clock.now()))
            self._changed(item, outcome)
        return outcome

    def _changed(self, item: Item, outcome: Outcome) -> None:
        self.observer(ItemChanged(item=item, state=outcome.state, reason=outcome.reason, message=outcome.message))
