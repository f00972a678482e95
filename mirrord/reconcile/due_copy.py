"""One revision of one item that is to be copied: the intent for the journal, the spec for `transfer`."""

from dataclasses import replace
from typing import Self

from mirrord.frozen import frozen
from mirrord.model import Item, Observed, Overwrite, Transfer, TransferKind
from mirrord.planning.decisions.decide import options_digest
from mirrord.planning.decisions.describe import described
from mirrord.planning.transfers.parts import PartLayout, readers_that_fit
from mirrord.planning.transfers.resume import pinned
from mirrord.ports import ObjectStore, Source
from mirrord.reconcile.observation import Observation
from mirrord.transfer.ledger import ResumedUpload
from mirrord.transfer.spec import NewObject, SourceDemands, TransferSpec


@frozen(kw_only=True)
class DueCopy:
    """One revision of `item`, to be written to `store`."""

    item: Item
    source: Source
    observed: Observed
    store: ObjectStore
    sha256: str | None
    """The declared digest of the source's bytes, in hex; None: nothing is declared."""
    vacant: bool
    """The check found no object at the key."""
    unlisted: bool = False
    """It sent no HEAD: see `Observation.unlisted`."""
    conditional: bool = True
    """The store does not refuse If-None-Match."""

    @classmethod
    def of(
        cls,
        item: Item,
        source: Source,
        store: ObjectStore,
        seen: Observation,
        sha256: str | None,
        *,
        conditional: bool = True,
    ) -> Self:
        """The copy that the check `seen` found to be due. Raises ValueError if it did not observe the source."""
        if seen.observed is None:
            raise ValueError("a copy needs an observed source")
        return cls(
            item=item,
            source=source,
            observed=seen.observed,
            store=store,
            sha256=sha256,
            vacant=seen.stored is None,
            unlisted=seen.unlisted,
            conditional=conditional,
        )

    @property
    def resumable(self) -> bool:
        """Whether the rest can be fetched without the beginning. A declared digest is of all bytes in their order."""
        return pinned(self.observed) and not self.demands.in_order

    @property
    def demands(self) -> SourceDemands:
        """What the manifest, or the item's row in a list, demands of the source."""
        requires, row = self.item.options.requires, self.item.declared
        return SourceDemands(
            max_size=requires.max_size,
            content_type=requires.content_type,
            size=row.size if row is not None else None,
            sha256=self.sha256,
            md5=row.md5.hex() if row is not None and row.md5 is not None else None,
        )

    @property
    def only_if_none(self) -> bool:
        """Whether the write must fail if an object exists at the key, because another program wrote it after the check,
        or the check sent no HEAD."""
        overwrite = self.item.options.overwrite
        protects = overwrite is Overwrite.NEVER or (overwrite is Overwrite.OWNED and self.vacant)
        return self.unlisted or (self.conditional and protects)

    def intent(self, transfer_id: str, layout: PartLayout, now: float) -> Transfer:
        """The journal's row of the transfer."""
        return Transfer(
            id=transfer_id,
            item_id=self.item.id,
            destination=self.item.destination,
            revision=self.observed.revision,
            kind=layout.kind,
            part_sizes=layout.sizes if layout.kind is TransferKind.MULTIPART else None,
            started=now,
            checksum_kind=self.store.provider.checksum,
            options_digest=options_digest(self.item.options.object),
        )

    def spec(
        self, transfer: Transfer, layout: PartLayout, resumed: ResumedUpload | None, memory_limit: int
    ) -> TransferSpec:
        """`transfer` is the journal's: the id is in the object's metadata, the part sizes are the upload's own."""
        item, observed, demands = self.item, self.observed, self.demands
        if demands.digest is not None:
            observed = replace(observed, revision=replace(observed.revision, digest=demands.digest))
        if resumed is not None and transfer.part_sizes is not None:
            fitting = max(1, min(item.options.upload.concurrency, memory_limit // transfer.part_sizes.first))
            layout = PartLayout(transfer.kind, transfer.part_sizes, fitting)
        return TransferSpec(
            transfer_id=transfer.id,
            new=NewObject(
                at=item.destination,
                options=described(item.options.object, observed, item.destination.key, transfer.id),
                checksum=self.store.provider.checksum,
                if_none_match=self.only_if_none,
            ),
            layout=layout,
            demands=demands,
            readers=self._readers(layout, memory_limit),
            resumed=resumed,
        )

    def _readers(self, layout: PartLayout, memory_limit: int) -> int:
        if not pinned_by_validator(self.observed):
            return 1
        return readers_that_fit(self.item.options.http.connections, layout, memory_limit)

    async def in_one_stream(self) -> "DueCopy | None":
        """The source as it is now, to be read as one stream, after its pinned ranges proved to be of different
        revisions; None: its ranges were not pinned by a validator. Raises what the source's `probe` raises."""
        if not pinned_by_validator(self.observed):
            return None
        observed = await self.source.probe()
        return replace(self, observed=replace(observed, ranges=False)) if observed else None


def pinned_by_validator(observed: Observed) -> bool:
    """False for a local file: one reader is best for a disk, and its ranges always belong to one file."""
    return pinned(observed) and observed.revision.file is None
