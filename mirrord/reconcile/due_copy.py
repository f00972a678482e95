"""One revision of one item that is to be copied: the intent for the journal, the spec for `transfer`."""

from dataclasses import replace
from typing import Self

from mirrord.errors import SourceChanged, StoreCopyRefused
from mirrord.frozen import frozen
from mirrord.model import (
    Checksum,
    ChecksumKind,
    Item,
    JournaledProgress,
    ObjectOptions,
    Observed,
    Overwrite,
    S3Object,
    Transfer,
    TransferKind,
)
from mirrord.planning.decisions.decide import options_digest
from mirrord.planning.decisions.describe import described
from mirrord.planning.decisions.rewrites import without_lock
from mirrord.planning.transfers.parts import PartLayout, part_layout, readers_that_fit
from mirrord.planning.transfers.resume import pinned
from mirrord.ports import ObjectStore, Source
from mirrord.reconcile.observation import Observation
from mirrord.transfer.ledger import ResumedUpload
from mirrord.transfer.spec import NO_DEMANDS, NewObject, Original, SourceDemands, TransferSpec


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
    original: Original | None = None
    """See `TransferSpec.original`."""

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
        return self.rewrites or (pinned(self.observed) and not self.demands.in_order)

    @property
    def rewrites(self) -> bool:
        """Whether the object is copied to itself."""
        return self.original is not None and self.original.at == self.item.destination

    @property
    def written_with(self) -> ObjectOptions:
        """The manifest's options, as far as the write surely gives them to the object: see `without_lock`."""
        options = self.item.options.object
        return options if self.original is None else without_lock(options)

    @property
    def demands(self) -> SourceDemands:
        """What the manifest, or the item's row in a list, demands of the source."""
        if self.rewrites:
            return NO_DEMANDS  # its bytes were sent by them
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

    @property
    def checksum_kind(self) -> ChecksumKind:
        """The kind of the checksums of the parts, or of the whole."""
        if self.original is not None:
            return self.original.checksum
        kind = self.store.provider.checksum  # S3 refuses a put with a lock and without any checksum
        return ChecksumKind.MD5 if kind is ChecksumKind.NONE and self.item.options.object.locks else kind

    def layout(self, memory_limit: int) -> PartLayout:
        """The requests that write the object. Raises what `part_layout` raises."""
        if self.original is not None:
            return self.original.layout
        return part_layout(self.observed.revision.length, self.item.options.upload, self.store.provider, memory_limit)

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
            checksum_kind=self.checksum_kind,
            options_digest=options_digest(self.written_with),
            progress=JournaledProgress(whole=self._whole(layout)),
        )

    def _whole(self, layout: PartLayout) -> Checksum | None:
        """The checksum by which a later HEAD shows that one request of the store made the copy."""
        if self.original is None or layout.kind is not TransferKind.PUT:
            return None
        return self.original.known

    def spec(
        self, transfer: Transfer, layout: PartLayout, resumed: ResumedUpload | None, memory_limit: int
    ) -> TransferSpec:
        """`transfer` is the journal's: the id is in the object's metadata, the part sizes are the upload's own."""
        item, observed, demands = self.item, self.observed, self.demands
        if demands.digest is not None:
            observed = replace(observed, revision=replace(observed.revision, digest=demands.digest))
        if resumed is not None and transfer.part_sizes is not None:
            fitting = max(1, min(item.options.upload.concurrency, memory_limit // transfer.part_sizes.first))
            most = fitting if self.original is None else layout.concurrency
            layout = PartLayout(transfer.kind, transfer.part_sizes, most)
        options = described(item.options.object, observed, item.destination.key, transfer.id)
        if self.original is not None and self.original.storage_class is not None:
            options = replace(options, storage_class=self.original.storage_class)
        return TransferSpec(
            transfer_id=transfer.id,
            new=NewObject(
                at=item.destination,
                options=options,
                checksum=transfer.checksum_kind,
                if_none_match=self.only_if_none,
            ),
            layout=layout,
            demands=demands,
            readers=self._readers(layout, memory_limit),
            resumed=resumed,
            original=self.original,
        )

    def takes_parts_of(self, earlier: Transfer, upload: ResumedUpload) -> bool:
        """Whether the copy can be proven with these parts. What the store copies itself is proven by the sizes of the
        parts, those of the original; parts that are sent, by the checksum of each."""
        if self.original is not None:
            return earlier.part_sizes == self.original.layout.sizes
        kind = self.checksum_kind
        return kind is ChecksumKind.NONE or all(one.checksum is not None for one in upload.parts.values())

    def _readers(self, layout: PartLayout, memory_limit: int) -> int:
        if not pinned_by_validator(self.observed):
            return 1
        return readers_that_fit(self.item.options.http.connections, layout, memory_limit)

    async def after(self, error: BaseException) -> "DueCopy | None":
        """How the copy is made after it failed with `error`; None: not now. Raises what the source's `probe` raises.

        The bytes are sent where the store did not copy them itself. A source whose pinned ranges proved to be of
        different revisions is read as one stream, as it is now; a store keeps to them, so its object was replaced.
        """
        if isinstance(error, StoreCopyRefused):
            observed = await self.source.probe() if self.rewrites else self.observed
            return replace(self, original=None, observed=observed) if observed else None
        if not isinstance(error, SourceChanged) or isinstance(self.item.origin, S3Object):
            return None
        if not pinned_by_validator(self.observed):
            return None
        observed = await self.source.probe()
        return replace(self, observed=replace(observed, ranges=False)) if observed else None


def pinned_by_validator(observed: Observed) -> bool:
    """False for a local file: one reader is best for a disk, and its ranges always belong to one file."""
    return pinned(observed) and observed.revision.file is None
