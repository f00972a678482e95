"""The decision table: desired, recorded and observed state -> action."""

from dataclasses import replace

import pytest

from mirrord.errors import Reason
from mirrord.model import (
    META_MD5,
    META_SHA256,
    META_TRANSFER,
    META_VALIDATOR,
    Checksum,
    ChecksumKind,
    DeclaredBytes,
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
    S3Object,
    State,
    StoredObject,
    origin_at,
)
from mirrord.planning.decisions.decide import (
    Action,
    decide,
    known_revision,
    needs_head,
    options_digest,
    spares_denied_head,
)
from mirrord.planning.decisions.describe import validator
from tests.support.options import make_options
from tests.support.records import make_record, with_fields

AT = Destination("default", "http://store", "bucket", "key")
V1 = Revision(address="a", etag='"1"', length=3)
V2 = Revision(address="a", etag='"2"', length=3)
BARE = Revision(address="a", length=3)  # nothing to compare by
OURS = StoredObject(size=3, etag='"o1"', metadata={META_VALIDATOR: validator(V1) or ""})
FOREIGN = StoredObject(size=3, etag='"o2"')


def item(**options: object) -> Item:
    return Item(
        id=AT.item_id, entry="e", origin=origin_at("http://s/x"), destination=AT, options=make_options(**options)
    )


def record(revision: Revision | None = V1, options: ObjectOptions | None = None) -> Record:
    return make_record(
        item_id=AT.item_id,
        entry="e",
        source="http://s/x",
        destination=AT,
        state=State.SYNCED,
        revision=revision,
        etag='"o1"',
        options_digest=options_digest(options or ObjectOptions()),
    )


def proven(integrity: Integrity) -> Record:
    return with_fields(record(), integrity=integrity)


SUM, OTHER = "5" * 64, "6" * 64
SUMMED = replace(V1, digest=f"sha256:{SUM}")
DECLARED, LISTED = DeclaredSum(SUM), DeclaredSum(url="http://s/SUMS")
STAMPED = replace(OURS, metadata={**OURS.metadata, META_SHA256: SUM})
REPORT, IGNORE = Drift.REPORT, Drift.IGNORE
NEVER, OWNED = Overwrite.NEVER, Overwrite.OWNED
WRITTEN = with_fields(record(), transfer_id="t0")
ADOPTED = replace(FOREIGN, etag='"o1"')  # as in `record()`, which has no transfer id
NO_STORE = ObjectOptions(cache_control="no-store")
BY_US = StoredObject(size=9, etag='"o3"', metadata={META_TRANSFER: "t0"})
TABLE = [
    # options, record, standing, observed revision (None: unchanged) -> action, reason, drifted
    ({}, None, None, V1, Action.COPY, None, False),
    ({}, None, OURS, V1, Action.ADOPT, None, False),
    ({}, None, OURS, V2, Action.COPY, None, False),
    ({}, None, FOREIGN, V1, Action.COPY, None, False),
    ({}, None, OURS, BARE, Action.COPY, None, False),
    ({"overwrite": NEVER}, None, None, V1, Action.COPY, None, False),
    ({"overwrite": NEVER}, None, OURS, V1, Action.ADOPT, None, False),
    ({"overwrite": NEVER}, None, FOREIGN, V1, Action.BLOCK, Reason.CONFLICT, False),
    ({}, record(None), None, V1, Action.COPY, None, False),
    ({}, record(), OURS, None, Action.KEEP, None, False),
    ({}, record(), OURS, V1, Action.KEEP, None, False),
    ({}, record(BARE), OURS, BARE, Action.COPY, None, False),
    ({}, record(), OURS, V2, Action.COPY, None, False),
    ({}, record(), None, V1, Action.COPY, None, True),
    ({}, record(), FOREIGN, V1, Action.COPY, None, True),
    ({"drift": REPORT}, record(), None, None, Action.BLOCK, Reason.DRIFTED, True),
    ({"drift": REPORT}, record(), FOREIGN, V2, Action.BLOCK, Reason.DRIFTED, True),
    ({"drift": REPORT}, record(), OURS, V2, Action.COPY, None, False),
    ({"drift": IGNORE}, record(), FOREIGN, None, Action.KEEP, None, False),
    ({"drift": IGNORE}, record(), None, None, Action.KEEP, None, False),
    ({"drift": IGNORE}, record(), None, V2, Action.COPY, None, False),
    ({"overwrite": NEVER}, record(), OURS, None, Action.KEEP, None, False),
    ({"overwrite": NEVER}, record(), OURS, V2, Action.BLOCK, Reason.CONFLICT, False),
    ({"overwrite": NEVER}, record(), FOREIGN, V1, Action.BLOCK, Reason.CONFLICT, True),
    ({"overwrite": NEVER}, record(), None, V1, Action.COPY, None, True),
    ({"overwrite": OWNED}, None, None, V1, Action.COPY, None, False),
    ({"overwrite": OWNED}, None, FOREIGN, V1, Action.BLOCK, Reason.CONFLICT, False),
    ({"overwrite": OWNED}, None, BY_US, V1, Action.COPY, None, False),  # by its metadata: the journal was lost
    ({"overwrite": OWNED}, None, OURS, V1, Action.ADOPT, None, False),
    ({"overwrite": OWNED}, record(None), FOREIGN, V1, Action.BLOCK, Reason.CONFLICT, False),
    ({"overwrite": OWNED}, record(), OURS, V1, Action.KEEP, None, False),
    ({"overwrite": OWNED}, WRITTEN, ADOPTED, V2, Action.COPY, None, False),  # by the journal
    ({"overwrite": OWNED}, record(), ADOPTED, V2, Action.BLOCK, Reason.CONFLICT, False),
    ({"overwrite": OWNED}, record(), ADOPTED, None, Action.KEEP, None, False),
    ({"overwrite": OWNED}, record(), BY_US, V2, Action.COPY, None, True),
    ({"overwrite": OWNED}, record(), FOREIGN, None, Action.BLOCK, Reason.CONFLICT, True),
    ({"overwrite": OWNED, "drift": IGNORE}, record(), FOREIGN, V2, Action.BLOCK, Reason.CONFLICT, False),
    ({"overwrite": OWNED, "drift": IGNORE}, record(), FOREIGN, None, Action.KEEP, None, False),
    ({"overwrite": OWNED}, record(), None, V1, Action.COPY, None, True),
    ({"readback": True}, record(), OURS, V1, Action.KEEP, None, False),  # adopted: no readback is needed
    ({"readback": True}, proven(Integrity.READBACK), OURS, V1, Action.KEEP, None, False),
    ({"readback": True}, proven(Integrity.FULL_OBJECT), OURS, V1, Action.COPY, None, False),
    ({}, proven(Integrity.LENGTH), OURS, V1, Action.KEEP, None, False),
    ({"object": NO_STORE}, record(), OURS, V1, Action.REWRITE, None, False),
    ({"object": NO_STORE}, record(), OURS, None, Action.REWRITE, None, False),
    ({"object": NO_STORE}, record(), OURS, V2, Action.COPY, None, False),
    ({"object": NO_STORE}, record(), FOREIGN, V1, Action.COPY, None, True),
    ({"object": NO_STORE}, record(), None, None, Action.COPY, None, True),
    ({"object": NO_STORE}, record(BARE), OURS, BARE, Action.COPY, None, False),
    ({"object": NO_STORE, "drift": IGNORE}, record(), None, None, Action.REWRITE, None, False),
    ({"object": NO_STORE, "readback": True}, proven(Integrity.FULL_OBJECT), OURS, V1, Action.COPY, None, False),
    ({"object": NO_STORE, "overwrite": NEVER}, record(), OURS, None, Action.BLOCK, Reason.CONFLICT, False),
    ({"object": NO_STORE, "overwrite": OWNED}, record(), OURS, None, Action.BLOCK, Reason.CONFLICT, False),  # adopted
    ({"object": NO_STORE, "overwrite": OWNED}, WRITTEN, OURS, None, Action.REWRITE, None, False),
    ({}, record(SUMMED), OURS, V1, Action.KEEP, None, False),  # a digest from reading is the same revision
    ({}, record(SUMMED), OURS, V2, Action.COPY, None, False),
    ({"checksum": DECLARED}, record(SUMMED), OURS, V1, Action.KEEP, None, False),
    ({"checksum": DECLARED}, record(SUMMED), OURS, None, Action.KEEP, None, False),
    ({"checksum": DECLARED}, record(), OURS, V1, Action.COPY, None, False),  # never proven
    ({"checksum": DeclaredSum(OTHER)}, record(SUMMED), OURS, V1, Action.COPY, None, False),
    ({"checksum": LISTED}, record(SUMMED), OURS, V1, Action.KEEP, None, False),
    ({"checksum": LISTED}, record(), OURS, V1, Action.COPY, None, False),
    ({"checksum": DECLARED}, None, STAMPED, V1, Action.ADOPT, None, False),
    ({"checksum": DeclaredSum(OTHER)}, None, STAMPED, V1, Action.COPY, None, False),
    ({"checksum": DECLARED}, None, OURS, V1, Action.COPY, None, False),
    ({"checksum": LISTED}, None, STAMPED, V1, Action.ADOPT, None, False),
]


@pytest.mark.parametrize(("options", "recorded", "standing", "revision", "action", "reason", "drifted"), TABLE)
def test_decision(options, recorded, standing, revision, action, reason, drifted) -> None:
    observed = Observed(revision=revision) if revision else None
    decision = decide(item(**options), recorded, standing, observed)
    assert (decision.action, decision.reason, decision.drifted) == (action, reason, drifted)
    assert decision.message


MD5 = "7" * 32
ROW = DeclaredBytes(sha256=bytes.fromhex(SUM))
MD5_ROW = DeclaredBytes(md5=bytes.fromhex(MD5))
ROWS = [
    # declared by the row, by the entry, record, standing -> action
    (DeclaredBytes(size=3), None, with_fields(record(), size=3), OURS, Action.KEEP),
    (DeclaredBytes(size=4), None, with_fields(record(), size=3), OURS, Action.COPY),
    (DeclaredBytes(size=4), None, None, OURS, Action.COPY),
    (DeclaredBytes(size=3), None, None, OURS, Action.ADOPT),
    (ROW, None, record(SUMMED), OURS, Action.KEEP),
    (ROW, None, record(), OURS, Action.COPY),
    (ROW, DeclaredSum(OTHER), record(SUMMED), OURS, Action.KEEP),  # the row's counts
    (DeclaredBytes(sha256=bytes.fromhex(OTHER)), None, record(SUMMED), OURS, Action.COPY),
    (ROW, None, None, STAMPED, Action.ADOPT),
    (MD5_ROW, None, record(replace(V1, digest=f"md5:{MD5}")), OURS, Action.KEEP),
    (MD5_ROW, None, record(SUMMED), OURS, Action.COPY),
    (MD5_ROW, LISTED, record(replace(V1, digest=f"md5:{MD5}")), OURS, Action.KEEP),
    (None, LISTED, record(replace(V1, digest=f"md5:{MD5}")), OURS, Action.COPY),  # an md5 proves no sha256
    (MD5_ROW, None, None, replace(OURS, metadata={**OURS.metadata, META_MD5: MD5}), Action.ADOPT),
    (MD5_ROW, None, None, OURS, Action.COPY),
]


FOREIGN_SHOWN = replace(FOREIGN, etag=f'"{MD5}"')
OURS_SHOWN = replace(FOREIGN_SHOWN, metadata={META_VALIDATOR: validator(V2) or "", META_TRANSFER: "t0"})
FIRST_CHECKS = [
    # options, record, standing, equal bytes (None: not compared) -> action
    ({}, None, FOREIGN_SHOWN, None, Action.COMPARE),
    ({}, record(None), FOREIGN_SHOWN, None, Action.COMPARE),
    ({}, None, FOREIGN_SHOWN, True, Action.ADOPT),
    ({}, None, FOREIGN_SHOWN, False, Action.COPY),
    ({}, None, replace(FOREIGN_SHOWN, size=4), None, Action.COPY),
    ({"adopt": False}, None, FOREIGN_SHOWN, None, Action.COPY),
    ({"overwrite": NEVER}, None, FOREIGN_SHOWN, None, Action.COMPARE),
    ({"overwrite": NEVER}, None, FOREIGN_SHOWN, True, Action.ADOPT),
    ({"overwrite": NEVER}, None, FOREIGN_SHOWN, False, Action.BLOCK),
    ({"overwrite": OWNED}, None, FOREIGN_SHOWN, True, Action.ADOPT),
    ({"overwrite": OWNED}, None, FOREIGN_SHOWN, False, Action.BLOCK),
    ({}, None, OURS_SHOWN, None, Action.COMPARE),  # ours, of another validator: touched, and the journal was lost
    ({"adopt": False}, None, replace(OURS_SHOWN, metadata=OURS.metadata), None, Action.ADOPT),  # ours: always
    ({}, record(), FOREIGN_SHOWN, None, Action.COPY),  # drift
    ({"drift": REPORT}, record(), FOREIGN_SHOWN, None, Action.BLOCK),
]


@pytest.mark.parametrize(("options", "recorded", "standing", "equal", "action"), FIRST_CHECKS)
def test_an_object_of_another_tool_is_compared_first(options, recorded, standing, equal, action) -> None:
    assert decide(item(**options), recorded, standing, Observed(revision=V1), equal=equal).action is action


@pytest.mark.parametrize(("row", "entry", "recorded", "standing", "action"), ROWS)
def test_what_a_row_declares_must_be_proven(row, entry, recorded, standing, action) -> None:
    wanted = replace(item(checksum=entry), declared=row)
    assert decide(wanted, recorded, standing, Observed(revision=V1)).action is action


def test_the_request_is_conditional_only_if_the_object_is_the_recorded_one() -> None:
    assert known_revision(item(), record(), OURS) == V1
    assert known_revision(item(), record(), FOREIGN) is None
    assert known_revision(item(), record(), None) is None
    assert known_revision(item(), None, OURS) is None
    assert known_revision(item(drift=IGNORE), record(), None) == V1
    assert known_revision(item(object=ObjectOptions(acl="private")), record(), OURS) == V1
    of_store = replace(item(object=ObjectOptions(acl="private")), origin=S3Object(AT))
    assert known_revision(of_store, record(), OURS) is None, "its headers and tags are needed"
    assert known_revision(item(checksum=DECLARED), record(), OURS) is None
    assert known_revision(item(checksum=DECLARED), record(SUMMED), OURS) == SUMMED
    assert known_revision(item(readback=True), proven(Integrity.FULL_OBJECT), OURS) is None


def test_no_head_is_sent_if_its_result_has_no_effect() -> None:
    assert needs_head(item(), record())
    assert needs_head(item(drift=IGNORE), None)
    assert not needs_head(item(drift=IGNORE), record())
    assert needs_head(item(drift=IGNORE, overwrite=NEVER), record())
    assert needs_head(item(drift=IGNORE, overwrite=OWNED), record())


@pytest.mark.parametrize(
    ("options", "digest"),
    [
        (ObjectOptions(), "887282f14ea13d9f"),
        (
            ObjectOptions(
                content_type="text/csv",
                cache_control="no-store",
                expires="2030-01-01T00:00:00Z",
                metadata={"b": "2", "a": "1"},
                tags={"tier": "hot"},
                storage_class="STANDARD",
                acl="private",
                encryption="aws:kms",
                kms_key_id="k",
            ),
            "cbcb8e7ee0d99e13",
        ),
    ],
)
def test_the_digest_of_options_is_the_one_of_earlier_versions(options: ObjectOptions, digest: str) -> None:
    """The journal records it. If it changed, every object would be sent again after an upgrade."""
    assert options_digest(options) == digest


def test_the_digest_depends_on_the_content_of_metadata_not_on_its_order() -> None:
    one = ObjectOptions(metadata={"a": "1", "b": "2"})
    assert options_digest(one) == options_digest(replace(one, metadata={"b": "2", "a": "1"}))
    assert options_digest(one) != options_digest(replace(one, metadata={"a": "1", "b": "3"}))
    assert options_digest(one) != options_digest(ObjectOptions(tags={"a": "1", "b": "2"}))


def test_validators_of_different_addresses_and_files_differ() -> None:
    file = Revision(address="a", length=3, file=FileIdentity(1, 2, 3, 4, 5))
    assert validator(file) != validator(replace(file, address="b"))
    assert validator(file) != validator(replace(file, file=FileIdentity(1, 2, 3, 9, 5)))
    assert validator(BARE) is None


def test_an_object_is_checked_for_drift_once_a_minute_at_most() -> None:
    assert not needs_head(item(), record(), since=1.0)
    assert needs_head(item(), record(), since=60.0)
    assert needs_head(item(), None, since=1.0)
    assert needs_head(item(overwrite=NEVER), record(), since=1.0)
    assert known_revision(item(), record(), None, asked=False) == V1
    assert decide(item(), record(), None, None, asked=False).action is Action.KEEP
    assert decide(item(), record(), None, Observed(revision=V2), asked=False).action is Action.COPY


# ── files that were touched ───────────────────────────────────────────────────────────────────────
def test_a_file_on_a_device_of_another_number_is_neither_sent_nor_read() -> None:
    again = replace(FILE_THEN, file=replace(FILE_THEN.file, device=9))
    assert decide(item(), OF_FILE, OURS, Observed(revision=again)).action is Action.KEEP


FILE_THEN = Revision(address="a", length=3, file=FileIdentity(1, 7, 3, 10, 10))
FILE_NOW = replace(FILE_THEN, file=FileIdentity(1, 7, 3, 20, 20))
CHMODDED = replace(FILE_THEN, file=FileIdentity(1, 7, 3, 10, 20))
GROWN = replace(FILE_THEN, length=4, file=FileIdentity(1, 7, 4, 20, 20))
OF_FILE = with_fields(
    record(FILE_THEN), size=3, checksum=Checksum(ChecksumKind.CRC64NVME, "x"), integrity=Integrity.FULL_OBJECT
)
CRC32 = Checksum(ChecksumKind.CRC32, "x")
MD5 = Checksum(ChecksumKind.MD5, "x")
TOUCHED = [
    # record, standing, revision, options -> action before the bytes are read, if they are equal, if they differ
    (OF_FILE, OURS, FILE_NOW, {}, Action.COMPARE, Action.KEEP, Action.COPY),
    (OF_FILE, OURS, CHMODDED, {}, Action.COMPARE, Action.KEEP, Action.COPY),
    (OF_FILE, OURS, replace(FILE_NOW, address="b"), {}, Action.COMPARE, Action.KEEP, Action.COPY),  # at another path
    (OF_FILE, OURS, FILE_NOW, {"overwrite": NEVER}, Action.COMPARE, Action.KEEP, Action.BLOCK),
    (OF_FILE, OURS, FILE_NOW, {"readback": True}, Action.COPY, Action.COPY, Action.COPY),  # the readback was not done
    (OF_FILE, FOREIGN, FILE_NOW, {}, Action.COPY, Action.COPY, Action.COPY),
    (OF_FILE, None, FILE_NOW, {}, Action.COPY, Action.COPY, Action.COPY),
    (OF_FILE, OURS, FILE_NOW, {"object": NO_STORE}, Action.COMPARE, Action.REWRITE, Action.COPY),
    (
        with_fields(OF_FILE, checksum=MD5, integrity=Integrity.MD5),
        OURS,
        FILE_NOW,
        {},
        Action.COMPARE,
        Action.KEEP,
        None,
    ),
    (with_fields(OF_FILE, integrity=None), OURS, FILE_NOW, {}, Action.COMPARE, Action.KEEP, None),
    (with_fields(OF_FILE, checksum=CRC32), OURS, FILE_NOW, {}, Action.COPY, None, None),
    (with_fields(OF_FILE, checksum=None), OURS, FILE_NOW, {}, Action.COPY, None, None),
    (with_fields(OF_FILE, integrity=Integrity.LENGTH), OURS, FILE_NOW, {}, Action.COPY, None, None),
    (with_fields(OF_FILE, size=4), OURS, FILE_NOW, {}, Action.COPY, None, None),
    (OF_FILE, OURS, GROWN, {}, Action.COPY, None, None),
    (OF_FILE, OURS, V2, {}, Action.COPY, None, None),  # a URL now
    (replace(OF_FILE, revision=V1), OURS, FILE_NOW, {}, Action.COPY, None, None),  # a URL then
    (
        with_fields(OF_FILE, checksum=None, revision=replace(FILE_THEN, digest=f"sha256:{SUM}")),
        OURS,
        FILE_NOW,
        {"checksum": DECLARED},
        Action.COMPARE,
        Action.KEEP,
        Action.COPY,
    ),
]


@pytest.mark.parametrize(("recorded", "standing", "revision", "options", "unread", "equal", "differs"), TOUCHED)
def test_a_touched_file_is_read_before_it_is_sent(
    recorded, standing, revision, options, unread, equal, differs
) -> None:
    for known, action in ((None, unread), (True, equal), (False, differs)):
        if action is not None:
            decision = decide(item(**options), recorded, standing, Observed(revision=revision), equal=known)
            assert decision.action is action, (known, decision)


@pytest.mark.parametrize(
    ("known", "overwrite", "conditions", "goes_on"),
    [
        (None, Overwrite.ALWAYS, False, True),
        (None, Overwrite.NEVER, False, False),
        (None, Overwrite.NEVER, True, True),
        (record(None), Overwrite.OWNED, True, True),
        (record(), Overwrite.ALWAYS, True, True),
        (record(), Overwrite.OWNED, True, False),
        (with_fields(record(), etag_from_head=True), Overwrite.ALWAYS, True, False),
        (record(Revision(address="x")), Overwrite.ALWAYS, True, False),
    ],
)
def test_a_check_goes_on_without_the_head_that_was_denied(
    known: Record | None, overwrite: Overwrite, conditions: bool, goes_on: bool
) -> None:
    assert spares_denied_head(item(overwrite=overwrite), known, conditions=conditions) is goes_on
    assert not spares_denied_head(item(overwrite=overwrite, readback=True), known, conditions=conditions)
