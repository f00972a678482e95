"""The copy by which an object gets other options: the store copies it to itself, and no byte is read or sent.

Owns the observation. `planning.decisions.decide` decides that a rewrite is due, `transfer.store_copy` makes and proves
it. Reads only: `plan` uses it, too.
"""

from dataclasses import replace

from mirrord.errors import ActionDenied, SourceChanged, StoreRefused
from mirrord.frozen import frozen
from mirrord.model import (
    Destination,
    File,
    Item,
    ObjectDetails,
    ObjectLock,
    ObjectOptions,
    Observed,
    Overwrite,
    Record,
    Revision,
)
from mirrord.planning.decisions.decide import Action, decide, spares_denied_head
from mirrord.planning.decisions.object_identity import is_recorded
from mirrord.planning.decisions.rewrites import (
    changed_options,
    has_hold_of,
    has_lock_of,
    hold_to_set,
    kept_class,
    lock_to_set,
    needs_headers,
)
from mirrord.ports import JournalQueries, ObjectStore, Source
from mirrord.reconcile.due_copy import DueCopy
from mirrord.reconcile.observation import Observation
from mirrord.reconcile.records import touched, with_revision
from mirrord.reconcile.store_copies import checksum_of_copy, layout_of_copy
from mirrord.transfer.spec import Original


@frozen
class LockChange:
    """The lock of one version, `shown` as it is, and `wanted`; None: it has none, and it stays as it is. `asked`: what
    is shown is what the options ask for. `held`: whether it has a legal hold; `hold`: the one that it gets, or None."""

    version_id: str
    shown: ObjectLock | None
    wanted: ObjectLock | None
    asked: bool
    held: bool = False
    hold: bool | None = None

    @property
    def is_other_mode(self) -> bool:
        """Whether GOVERNANCE becomes COMPLIANCE."""
        return self.wanted is not None and self.shown is not None and self.wanted.mode != self.shown.mode

    @property
    def changes(self) -> bool:
        """Whether the version gets something else than it has."""
        return self.wanted is not None or self.hold is not None

    async def make(self, store: ObjectStore, at: Destination) -> None:
        """Set the lock and the hold. If it fails after one of them, the next check makes the rest."""
        if self.wanted is not None:
            await store.put_retention(at, self.version_id, self.wanted, bypass=self.is_other_mode)
        if self.hold is not None:
            await store.put_legal_hold(at, self.version_id, self.hold)

    def __str__(self) -> str:
        hold = self._hold_text()
        if hold and self.shown is None and self.wanted is None:
            return hold
        return f"{hold}; {self._lock_text()}" if hold else self._lock_text()

    def _hold_text(self) -> str:
        if self.hold is None:
            return "its legal hold stays" if self.held else ""
        return "it gets a legal hold" if self.hold else "its legal hold is released"

    def _lock_text(self) -> str:
        if self.wanted is not None:
            return f"its lock is set to {self.wanted}"
        if self.asked:
            return f"it is locked until {self.shown}"
        if self.shown is None:
            return "its object has no lock; the next one is locked by the new rule"
        return f"it stays locked until {self.shown}: a lock is never made shorter or weaker"


@frozen
class Rewrite:
    """Finds out whether an object can be rewritten."""

    journal: JournalQueries

    async def due(self, item: Item, source: Source, store: ObjectStore, seen: Observation) -> DueCopy | None:
        """The rewrite that the check `seen` found to be due. None: the bytes must be sent, because the object is not
        the recorded one any more, its copy could not be compared with it, or credentials that may only write deny it.

        Raises StoreRefused for an archived object, SourceChanged if the source has another revision by now, and what
        source and store raise.
        """
        record = seen.record
        if record is None or record.revision is None:
            return None
        at = item.destination.keyed(record.object_at.customer_key)
        if (details := await _details(at, item, store, record)) is None:
            return None
        if not is_recorded(record, details.stored) or details.stored.size != record.object.size:
            return None
        if details.archived is not None:
            raise StoreRefused(
                f"{item.destination} is archived ({details.archived}): its options cannot be changed; restore it "
                "first, or set the options back",
                answered=True,
            )
        layout = await layout_of_copy(at, details.stored, store, Overwrite.ALWAYS)
        if layout is None:
            return None
        kind = checksum_of_copy(details.stored, layout, store.provider)
        then = await self.previous(record)
        observed = seen.observed or await self._observed(item, source, record, details, then)
        return DueCopy(
            item=item,
            source=source,
            observed=replace(observed, revision=_revision(item, record, record.revision, observed)),
            store=store,
            sha256=None,  # the bytes were compared when they were sent
            vacant=False,
            original=Original(
                at=at,
                stored=details.stored,
                layout=layout,
                checksum=kind,
                recorded=record.object.checksum,
                storage_class=kept_class(then, item.options.object, details.storage_class),
            ),
        )

    async def _observed(
        self, item: Item, source: Source, record: Record, details: ObjectDetails, then: ObjectOptions | None
    ) -> Observed:
        """The source, which was found unchanged, with those of its headers that the object gets."""
        known, shown = record.revision or Revision(address=""), details.kept
        if isinstance(item.origin, File):  # it has no headers
            return Observed(revision=known)
        if not needs_headers(item, record, then):
            return Observed(revision=known, content_type=shown.content_type, content_encoding=shown.content_encoding)
        observed = await source.probe()
        if observed is None or decide(item, record, details.stored, observed).action is not Action.REWRITE:
            raise SourceChanged(f"{item.shown_source}: it changed since it was checked", answered=True)
        return observed

    async def lock_alone(self, item: Item, store: ObjectStore, record: Record | None, now: float) -> LockChange | None:
        """The change if only the lock in the options changed: it is made without a copy, which would be one more
        version. None: more changed, or the object is not the recorded one, or has no version."""
        then = await self.previous(record) if record is not None else None
        if record is None or changed_options(then, item.options.object) != ("lock",):
            return None
        details = await store.inspect_object(item.destination)
        if details is None or details.stored.version_id is None or not is_recorded(record, details.stored):
            return None
        written = record.object.synced_at or now
        options, shown = item.options.object, details.lock
        return LockChange(
            version_id=details.stored.version_id,
            shown=shown,
            wanted=lock_to_set(shown, options, written, now),
            asked=has_lock_of(shown, options, written) and has_hold_of(details.legal_hold, options),
            held=bool(details.legal_hold),
            hold=hold_to_set(details.legal_hold, then, options),
        )

    async def previous(self, record: Record) -> ObjectOptions | None:
        """The options that the object was written with; None: they are not known."""
        digest = record.object.options_digest
        return await self.journal.options(digest) if digest is not None else None


async def _details(at: Destination, item: Item, store: ObjectStore, record: Record) -> ObjectDetails | None:
    """The object; None: there is none, or it can be neither seen nor copied, because the credentials may only write, or
    because its key (SSE-C), another one than the manifest's, is not declared any more."""
    try:
        return await store.inspect_object(at)
    except (StoreRefused, ActionDenied) as error:
        if at.customer_key != item.destination.customer_key:
            return None
        denied = isinstance(error, ActionDenied)
        if denied and spares_denied_head(item, record, conditions=store.provider.conditional_puts):
            return None
        raise


def _revision(item: Item, record: Record, known: Revision, observed: Observed) -> Revision:
    """The revision that the object holds: the recorded one, or the source as it was touched since."""
    if not touched(item, record, observed):
        return known
    return with_revision(item, record, observed, 0.0).revision or known
