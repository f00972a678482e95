"""One try at one item, and what it is to move: the intent that is journaled, the job that `transfer` is given. Pure."""

from dataclasses import dataclass, replace
from uuid import uuid4

from mirrord.model import Item, Observed, Overwrite, Record, Transfer, TransferKind
from mirrord.planning.decisions.decide import options_digest
from mirrord.planning.decisions.describe import described
from mirrord.planning.transfers.parts import PartLayout
from mirrord.planning.transfers.resume import pinned
from mirrord.ports import Clock, ObjectStore, Source
from mirrord.transfer.ledger import ResumedUpload
from mirrord.transfer.spec import NewObject, SourceDemands, TransferSpec


@dataclass(slots=True)
class Attempt:
    """What is known of a try before and while bytes move. `kind` is None until the transfer starts."""

    item: Item
    number: int  # from 1
    transfer_id: str
    began: float  # monotonic seconds
    kind: TransferKind | None = None
    why: str = ""  # a copy is due, as said to people
    vacant: bool = False  # no object was seen there: the store is asked to hold us to that, where it matters
    doubted: Record | None = None  # what the journal says since the object turned out to be other bytes than were sent
    unsettled: bool = False  # it failed, and the store may hold something of it
    running: bool = False  # its start was told, and its end was not
    kept: bool = False  # it failed, and its parts stay for the next attempt

    @classmethod
    def of(cls, item: Item, number: int, clock: Clock) -> "Attempt":
        return cls(item, number, uuid4().hex, clock.monotonic())


@dataclass(frozen=True, slots=True)
class Errand:
    """One revision of one item to be moved to its store."""

    attempt: Attempt
    source: Source
    observed: Observed
    store: ObjectStore
    sha256: str | None  # declared

    @property
    def resumable(self) -> bool:
        """Whether the rest can be fetched without the beginning. A declared sha256 is of all bytes in their order."""
        return pinned(self.observed) and self.sha256 is None

    def intent(self, plan: PartLayout, now: float) -> Transfer:
        item = self.attempt.item
        return Transfer(
            id=self.attempt.transfer_id,
            item_id=item.id,
            destination=item.destination,
            revision=self.observed.revision,
            kind=plan.kind,
            part_size=plan.part_size if plan.kind is TransferKind.MULTIPART else None,
            started=now,
            checksum_kind=self.store.provider.checksum,
            options_digest=options_digest(item.options.object),
        )

    def spec(self, transfer: Transfer, plan: PartLayout, kept: ResumedUpload | None, memory_limit: int) -> TransferSpec:
        """`transfer` is the journal's: the id is in the object's metadata, the part size is the upload's own."""
        item, observed = self.attempt.item, self.observed
        if self.sha256 is not None:
            observed = replace(observed, revision=replace(observed.revision, digest=f"sha256:{self.sha256}"))
        if kept is not None and transfer.part_size is not None:
            fitting = max(1, min(item.options.upload.concurrency, memory_limit // transfer.part_size))
            plan = PartLayout(transfer.kind, transfer.part_size, fitting)
        return TransferSpec(
            transfer_id=transfer.id,
            new=NewObject(
                at=item.destination,
                options=described(item.options.object, observed, item.destination.key, transfer.id),
                checksum=self.store.provider.checksum,
                if_none_match=_only_if_none(item.options.overwrite, self.attempt.vacant),
            ),
            layout=plan,
            demands=SourceDemands(
                max_size=item.options.requires.max_size,
                content_type=item.options.requires.content_type,
                sha256=self.sha256,
            ),
            readers=item.options.http.connections if pinned_by_validator(observed) else 1,
            resumed=kept,
        )


def _only_if_none(overwrite: Overwrite, vacant: bool) -> bool:
    """Whether an object that a stranger wrote since the look must not be replaced."""
    return overwrite is Overwrite.NEVER or (overwrite is Overwrite.OWNED and vacant)


def pinned_by_validator(observed: Observed) -> bool:
    """Not a local file: one reader is what a disk likes best, and its ranges cannot lie."""
    return pinned(observed) and observed.revision.file is None
