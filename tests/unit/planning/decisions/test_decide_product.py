"""`decide` over the whole product of desired, recorded and observed states: what must hold in every cell.

The expected actions of single cells are in test_decide.py. Here every combination of representative values is decided,
and then carried out: the next decision must find nothing to do.
"""

from collections import Counter
from dataclasses import replace
from functools import cache
from itertools import product
from typing import NamedTuple

from mirrord.errors import Reason
from mirrord.model import (
    META_SHA256,
    META_TRANSFER,
    META_VALIDATOR,
    Checksum,
    ChecksumKind,
    Copied,
    DeclaredSum,
    Destination,
    Drift,
    FileIdentity,
    Integrity,
    Item,
    ObjectOptions,
    Observed,
    Overwrite,
    Record,
    Revision,
    State,
    StoredObject,
    TransferKind,
    origin_at,
)
from mirrord.planning.decisions.adoption import SameBytes
from mirrord.planning.decisions.decide import Action, Decision, decide, known_revision, needs_head, options_digest
from mirrord.planning.decisions.describe import validator
from mirrord.planning.decisions.object_identity import is_ours, is_recorded
from mirrord.reconcile.records import with_adopted, with_copy, with_revision
from tests.support.options import make_options
from tests.support.records import make_record, with_fields

AT = Destination("default", "http://store", "bucket", "key")
SUM = "5" * 64
MD5 = '"5d41402abc4b2a76b9719d911017c592"'
PLAIN, NO_STORE = ObjectOptions(), ObjectOptions(cache_control="no-store")

# ── desired ───────────────────────────────────────────────────────────────────────────────────────
DESIRED = [
    Item(
        id=AT.item_id,
        entry="e",
        origin=origin_at("http://s/x"),
        destination=AT,
        options=make_options(
            overwrite=overwrite, drift=drift, adopt=adopt, readback=readback, checksum=declared, object=options
        ),
    )
    for overwrite, drift, adopt, readback, declared, options in product(
        Overwrite, Drift, (True, False), (True, False), (None, DeclaredSum(SUM)), (PLAIN, NO_STORE)
    )
]

# ── observed: the source ──────────────────────────────────────────────────────────────────────────
V1 = Revision(address="a", etag='"1"', length=5)
V2 = Revision(address="a", etag='"2"', length=5)
FILE = Revision(address="f", length=5, file=FileIdentity(1, 2, 5, 100, 100))
TOUCHED = Revision(address="f", length=5, file=FileIdentity(1, 2, 5, 200, 200))
BARE = Revision(address="a", length=5)
"""Nothing tells whether it is another version."""
SEEN = [None, *(Observed(revision=one) for one in (V1, V2, FILE, TOUCHED, BARE))]

# ── observed: the store ───────────────────────────────────────────────────────────────────────────
OURS = StoredObject(size=5, etag='"o1"', metadata={META_TRANSFER: "t1"})
STORED = [
    None,
    OURS,
    replace(OURS, etag='"head"'),  # as some stores show it
    replace(OURS, metadata={META_TRANSFER: "t1", META_VALIDATOR: validator(V1) or "", META_SHA256: SUM}),
    replace(OURS, etag='"o3"', metadata={META_TRANSFER: "t3", META_VALIDATOR: validator(V1) or ""}),
    StoredObject(size=5, etag='"o1"'),  # the store dropped the metadata, or it was adopted
    StoredObject(size=5, etag=MD5),  # of another tool
    StoredObject(size=7, etag='"other"', metadata={META_TRANSFER: "t9"}),  # of another mirrord
]


# ── recorded ──────────────────────────────────────────────────────────────────────────────────────
def recorded(revision: Revision | None, **known: object) -> Record:
    fields = {"transfer_id": "t1", "etag": '"o1"', "size": 5, "options_digest": options_digest(PLAIN)}
    fields |= {"checksum": Checksum(ChecksumKind.CRC64NVME, "AAAA"), "integrity": Integrity.FULL_OBJECT}
    return make_record(
        item_id=AT.item_id,
        entry="e",
        source="http://s/x",
        destination=AT,
        state=State.SYNCED,
        revision=revision,
        **{**fields, **known},
    )


SUMMED = replace(V1, digest=f"sha256:{SUM}")
RECORDED = [
    None,
    recorded(None),
    recorded(V1),
    recorded(SUMMED),
    recorded(SUMMED, etag_from_head=True, integrity=Integrity.READBACK),
    recorded(V1, transfer_id=None, integrity=None),  # adopted
    recorded(SUMMED, options_digest=options_digest(NO_STORE)),
    recorded(replace(V1, restored="v1")),
    recorded(FILE),
    recorded(FILE, integrity=Integrity.LENGTH),
    recorded(BARE),
]


class Case(NamedTuple):
    item: Item
    record: Record | None
    stored: StoredObject | None
    observed: Observed | None

    @property
    def known(self) -> Record | None:
        """The record, if it has a revision."""
        return self.record if self.record is not None and self.record.revision is not None else None

    @property
    def unchanged(self) -> bool:
        """Whether the source still has the recorded revision."""
        if self.known is None or self.known.revision is None:
            return False
        if self.observed is not None and validator(self.observed.revision) is None:
            return False
        return self.observed is None or replace(self.observed.revision, digest=None) == replace(
            self.known.revision, digest=None
        )

    @property
    def drifted(self) -> bool:
        """Whether another program changed the recorded object."""
        return self.known is not None and (self.stored is None or not is_recorded(self.known, self.stored))

    @property
    def restored(self) -> bool:
        return self.known is not None and self.known.restored is not None

    @property
    def sufficient(self) -> bool:
        """Whether the recorded object has what the entry asks of its bytes."""
        record, item = self.known, self.item
        if record is None or record.revision is None:
            return False
        proven = item.options.requires.checksum is None or record.revision.digest is not None
        read = record.object.integrity in (None, Integrity.READBACK) or record.restored is not None
        return proven and (read or not item.options.readback)

    @property
    def same_options(self) -> bool:
        return self.known is not None and self.known.object.options_digest == options_digest(self.item.options.object)

    @property
    def by_us(self) -> bool:
        """Whether the stored object is one that a mirrord wrote, so it says itself or the journal."""
        known = self.record.object if self.record is not None else None
        assert self.stored is not None
        in_journal = known is not None and known.transfer_id is not None and known.etag == self.stored.etag
        return META_TRANSFER in self.stored.metadata or in_journal

    def decided(self, equal: bool | None = None) -> Decision:
        return decide(self.item, self.record, self.stored, self.observed, equal=equal)


@cache
def cases() -> list[Case]:
    """All that can be observed: "not changed" is an answer only to a conditional request."""
    everything = (Case(*one) for one in product(DESIRED, RECORDED, STORED, SEEN))
    return [
        case
        for case in everything
        if case.observed is not None or known_revision(case.item, case.record, case.stored) is not None
    ]


@cache
def decisions() -> list[tuple[Case, bool | None, Decision]]:
    """Each case with its decision, and with those after a comparison, if one is asked for."""
    first = [(case, None, case.decided()) for case in cases()]
    compared = [case for case, _, decision in first if decision.action is Action.COMPARE]
    return [*first, *((case, equal, case.decided(equal)) for case in compared for equal in (True, False))]


def test_the_product_is_whole_and_reaches_every_action() -> None:
    found = Counter(decision.action for _, _, decision in decisions())
    assert sum(found.values()) > 30_000
    assert min(found[action] for action in Action) > 100


def test_nothing_is_written_where_the_object_equals_the_source() -> None:
    """Whatever `overwrite`, `drift` and `adopt` say."""
    for case, _, decision in decisions():
        if case.unchanged and not case.drifted and case.sufficient and case.same_options:
            assert decision == Decision(Action.KEEP, "unchanged"), case


def test_other_options_alone_are_a_rewrite_and_nothing_else_is() -> None:
    for case, equal, decision in decisions():
        same_bytes = case.sufficient and (case.unchanged or equal is True) and case.known is not None
        lost = case.drifted and case.item.options.drift is not Drift.IGNORE
        due = same_bytes and not case.same_options and not lost
        refused = decision.reason is Reason.CONFLICT
        assert (decision.action is Action.REWRITE) == (due and not refused), case


def test_a_protected_object_is_never_written() -> None:
    for case, _, decision in decisions():
        overwrite = case.item.options.overwrite
        if case.stored is None or not decision.writes:
            continue
        assert overwrite is not Overwrite.NEVER, case
        assert overwrite is Overwrite.ALWAYS or case.by_us, case


def test_a_block_has_its_reason_and_nothing_else_has_one() -> None:
    for case, _, decision in decisions():
        overwrite, drift = case.item.options.overwrite, case.item.options.drift
        if decision.action is not Action.BLOCK:
            assert decision.reason is None, case
        elif decision.reason is Reason.DRIFTED:
            assert case.drifted, case
            assert drift is Drift.REPORT or (drift is Drift.REPAIR and case.restored), case
        else:
            assert decision.reason is Reason.CONFLICT, case
            assert case.stored is not None, case
            assert overwrite is Overwrite.NEVER or (overwrite is Overwrite.OWNED and not case.by_us), case
            free = replace(case.item, options=replace(case.item.options, overwrite=Overwrite.ALWAYS))
            assert case._replace(item=free).decided().action is not Action.KEEP, case


def test_drift_is_said_if_and_only_if_it_counts() -> None:
    for case, _, decision in decisions():
        drift = case.item.options.drift
        counts = case.drifted and drift is not Drift.IGNORE
        if decision.drifted:
            assert counts, case
        elif counts:  # a restored object is not repaired, and a new revision replaces it
            assert case.restored, case
            assert decision.action in (Action.COPY, Action.COMPARE) or decision.reason is Reason.CONFLICT, case
        if counts and drift is Drift.REPORT:
            assert (decision.action, decision.reason) == (Action.BLOCK, Reason.DRIFTED), case
        if counts and drift is Drift.REPAIR and not case.restored:
            assert decision.writes or decision.reason is Reason.CONFLICT, case


def test_adopted_is_only_what_equals_the_source_and_is_not_recorded() -> None:
    for case, equal, decision in decisions():
        if decision.action is not Action.ADOPT:
            continue
        assert case.known is None, case
        assert case.stored is not None, case
        assert case.observed is not None, case
        by_validator = case.stored.metadata.get(META_VALIDATOR) == validator(case.observed.revision)
        assert equal or by_validator, case
        if not case.item.options.adopt:
            assert by_validator, case
        if case.item.options.requires.checksum is not None and by_validator and not equal:
            assert case.stored.metadata.get(META_SHA256) == SUM, case


def test_bytes_are_compared_only_where_that_may_avoid_a_copy() -> None:
    for case, equal, decision in decisions():
        if decision.action is not Action.COMPARE:
            continue
        assert equal is None, case
        assert case.stored is not None or case.item.options.drift is Drift.IGNORE, case
        assert case.observed is not None, case
        if case.known is None:
            assert case.item.options.adopt, case
            assert case.stored is not None, case
            assert case.observed.revision.length == case.stored.size, case
        else:
            assert case.observed.revision.file is not None, case
            assert case.known.object.integrity is not Integrity.LENGTH, case
        assert case.decided(True).action in (Action.ADOPT, Action.KEEP, Action.REWRITE) or case.decided(True).reason


def test_a_touched_file_is_compared_before_it_is_sent() -> None:
    for case in cases():
        known, seen = case.known, case.observed
        if known is None or seen is None or (known.revision, seen.revision) != (FILE, TOUCHED):
            continue
        if case.sufficient and known.object.integrity is not Integrity.LENGTH and not case.drifted:
            assert case.decided().action is Action.COMPARE, case


def test_a_changed_source_is_copied_unless_the_object_is_protected_or_reported() -> None:
    for case, equal, decision in decisions():
        changed = case.known is not None and not case.unchanged and equal is not True
        if changed and decision.action is not Action.COMPARE:
            assert decision.action is Action.COPY or decision.action is Action.BLOCK, case


def test_the_object_is_asked_for_wherever_it_has_an_effect() -> None:
    """Without a HEAD the decision is the one with the recorded object, and the request is as conditional."""
    for item, record, observed in product(DESIRED, RECORDED, SEEN):
        if needs_head(item, record):
            continue
        assert record is not None
        if observed is None and known_revision(item, record, None, asked=False) is None:
            continue
        without = decide(item, record, None, observed, asked=False)
        for stored in STORED:
            assert without == decide(item, record, stored, observed), (item, record, stored)


def test_a_conditional_request_is_sent_only_where_no_copy_is_due() -> None:
    for case in cases():
        if case.observed is None:
            assert case.decided().action not in (Action.COPY, Action.COMPARE, Action.ADOPT), case


def _copied(case: Case, decision: Decision) -> tuple[Record, StoredObject]:
    """The record and the object after the copy or the rewrite."""
    revision = case.observed.revision if case.observed is not None else None
    if decision.action is Action.REWRITE and case.known is not None:
        seen = case.observed
        revision = (case.known if seen is None else with_revision(case.item, case.known, seen, 1.0)).revision
    assert revision is not None
    if case.item.options.requires.checksum is not None:
        revision = replace(revision, digest=f"sha256:{SUM}")
    copied = Copied(
        transfer_id="t2",
        revision=revision,
        kind=TransferKind.PUT,
        size=5,
        parts=1,
        etag='"o2"',
        checksum=Checksum(ChecksumKind.CRC64NVME, "BBBB"),
        integrity=Integrity.READBACK if case.item.options.readback else Integrity.FULL_OBJECT,
    )
    stored = StoredObject(size=5, etag='"o2"', metadata={META_TRANSFER: "t2"})
    return with_copy(case.item, case.record, copied, 1.0), stored


def test_after_the_action_there_is_nothing_to_do() -> None:
    """Not even a comparison, and a Blocked item stays Blocked for the same reason."""
    for case, equal, decision in decisions():
        record, stored = case.record, case.stored
        if decision.writes:
            record, stored = _copied(case, decision)
        elif decision.action is Action.ADOPT:
            assert case.observed is not None
            assert stored is not None
            same = SameBytes(digest=f"sha256:{SUM}") if equal else None
            record = with_adopted(case.item, case.observed, stored, 1.0, same)
        elif decision.action is Action.KEEP and equal and record is not None and case.observed is not None:
            record = with_revision(case.item, record, case.observed, 1.0)
        elif decision.action is Action.COMPARE:
            continue
        again = Case(case.item, record, stored, case.observed)
        if case.observed is not None and case.observed.revision == BARE and decision.action is not Action.BLOCK:
            continue  # each check copies it again, as a source that cannot be compared
        if decision.action is Action.BLOCK:
            assert again.decided(equal) == decision, case
            continue
        assert again.decided().action is Action.KEEP, (case, decision, again.decided())
        assert known_revision(again.item, again.record, again.stored) is not None, case
        assert again._replace(observed=None).decided().action is Action.KEEP, case


def test_no_object_is_ours_to_delete_that_our_last_transfer_did_not_write() -> None:
    for record, stored in product(RECORDED, STORED):
        if record is None or stored is None or not is_ours(record, stored):
            continue
        assert record.object.transfer_id == stored.metadata[META_TRANSFER]
        assert with_fields(record, transfer_id=None) is not record
        assert not is_ours(with_fields(record, transfer_id=None), stored)
        assert not is_ours(record, replace(stored, metadata={}))
        assert not is_ours(record, replace(stored, metadata={META_TRANSFER: "t9"}))
        assert not is_ours(with_fields(record, etag_from_head=True), replace(stored, etag='"later"'))
