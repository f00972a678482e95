"""How revisions of two URLs of an item relate, what that decides, and the outcome if no URL serves it."""

from dataclasses import replace

import pytest

from mirrord.errors import (
    ChecksumMismatch,
    DeclaredMismatch,
    JournalUnavailable,
    Reason,
    SourceChanged,
    SourceDenied,
    SourceMissing,
    SourceRefused,
    SourceTooLarge,
    SourceTooSlow,
    SourceUnavailable,
    StoreUnavailable,
)
from mirrord.model import (
    Checksum,
    ChecksumKind,
    DeclaredSum,
    Destination,
    Integrity,
    Item,
    ObjectOptions,
    Observed,
    Outcome,
    Record,
    Revision,
    State,
    StoredObject,
    Url,
    fingerprint,
)
from mirrord.planning.decisions.decide import Action, decide, options_digest
from mirrord.planning.decisions.fallbacks import Relation, Unserved, moves_on, none_serves, relation
from mirrord.planning.timing.schedule import is_current
from tests.support.options import make_options
from tests.support.records import make_record, with_fields

AT = Destination("default", "http://store", "bucket", "key")
FIRST, SECOND, OTHER = (Url(f"http://{host}/x?token=secret") for host in ("one", "two", "three"))
JAN, FEB = "Thu, 01 Jan 2026 10:00:00 GMT", "Sun, 01 Feb 2026 10:00:00 GMT"
OBSOLETE_FEB = "Sunday, 01-Feb-26 10:00:00 GMT"
SUM = "5" * 64
CRC = Checksum(ChecksumKind.CRC64NVME, "AAAAAAAAAAA=")


def item(origin: Url = FIRST, **options: object) -> Item:
    return Item(
        id=AT.item_id,
        entry="e",
        origin=origin,
        destination=AT,
        options=make_options(**options),
        urls=(FIRST, SECOND),
    )


def of(origin: Url, modified: str | None = JAN, length: int | None = 3, **more: str) -> Revision:
    return Revision(address=fingerprint(origin.address), etag='"1"', last_modified=modified, length=length, **more)


def record(revision: Revision, **fields: object) -> Record:
    made = make_record(
        item_id=AT.item_id,
        entry="e",
        source="http://one/x",
        destination=AT,
        state=State.SYNCED,
        revision=revision,
        etag='"o1"',
        options_digest=options_digest(ObjectOptions()),
    )
    return with_fields(made, **{"size": 3, "checksum": CRC, "integrity": Integrity.FULL_OBJECT, **fields})


DECLARED = DeclaredSum(SUM)
EQUAL, BEHIND, UNPROVEN = Relation.EQUAL, Relation.BEHIND, Relation.UNPROVEN
TABLE = [
    # recorded, now, declared -> relation
    (of(FIRST), of(FIRST, FEB), None, None),  # the same URL
    (of(OTHER), of(FIRST), None, None),  # the URL left the manifest
    (of(FIRST), of(OTHER), None, None),
    (of(FIRST), of(SECOND), None, EQUAL),
    (of(SECOND), of(FIRST), None, EQUAL),
    (of(FIRST, FEB), of(SECOND, OBSOLETE_FEB), None, EQUAL),
    (of(FIRST), of(SECOND, length=4), None, UNPROVEN),
    (of(FIRST), of(SECOND, length=None), None, UNPROVEN),
    (of(FIRST), of(SECOND, None), None, UNPROVEN),
    (of(FIRST, None), of(SECOND), None, UNPROVEN),
    (of(FIRST, "yesterday"), of(SECOND, "yesterday"), None, UNPROVEN),
    (of(FIRST), of(SECOND, FEB), None, UNPROVEN),
    (of(FIRST, FEB), of(SECOND, JAN), None, BEHIND),
    (of(FIRST, FEB), of(SECOND, JAN, 4), None, BEHIND),
    (of(SECOND, FEB), of(FIRST, JAN), None, UNPROVEN),  # the primary decides what is current
    (of(FIRST), of(SECOND, FEB), DECLARED, EQUAL),
    (of(FIRST), of(SECOND, FEB, 4), DECLARED, UNPROVEN),
    (of(FIRST), of(SECOND, FEB, None), DECLARED, UNPROVEN),
    (of(FIRST, FEB), of(SECOND, JAN, 4), DECLARED, UNPROVEN),
    (of(SECOND), of(FIRST), DECLARED, UNPROVEN),  # it may be the one that had other bytes
    (of(FIRST), of(SECOND, FEB), DeclaredSum(url="http://one/SUMS"), UNPROVEN),
]


@pytest.mark.parametrize(("recorded", "now", "declared", "expected"), TABLE)
def test_relation(recorded: Revision, now: Revision, declared: DeclaredSum | None, expected: Relation | None) -> None:
    assert relation(item(checksum=declared), recorded, 3, now) is expected
    assert relation(replace(item(checksum=declared), urls=()), recorded, 3, now) is None


DECISIONS = [
    (record(of(FIRST)), of(SECOND), None, Action.KEEP),
    (record(of(FIRST, FEB)), of(SECOND, JAN, 4), None, Action.KEEP),
    (record(of(FIRST)), of(SECOND, FEB), None, Action.COMPARE),
    (record(of(FIRST)), of(SECOND, FEB), True, Action.KEEP),
    (record(of(FIRST)), of(SECOND, FEB), False, Action.COPY),
    (record(of(FIRST)), of(SECOND, FEB, None), None, Action.COMPARE),
    (record(of(FIRST)), of(SECOND, FEB, 4), None, Action.COPY),
    (record(of(FIRST), checksum=None), of(SECOND, FEB), None, Action.COPY),
    (record(of(FIRST), integrity=Integrity.LENGTH), of(SECOND, FEB), None, Action.COPY),
    (record(of(OTHER)), of(FIRST), None, Action.COPY),
    # no older copy replaces the object because of changed options
    (record(of(FIRST, FEB), options_digest="another"), of(SECOND, JAN), None, Action.KEEP),
    (record(of(FIRST), options_digest="another"), of(SECOND), None, Action.REWRITE),
]


@pytest.mark.parametrize(("known", "now", "equal", "expected"), DECISIONS)
def test_decision(known: Record, now: Revision, equal: bool | None, expected: Action) -> None:
    stored = StoredObject(size=3, etag='"o1"')
    assert decide(item(), known, stored, Observed(revision=now), equal=equal).action is expected
    assert decide(item(), known, None, Observed(revision=now), equal=equal).action is Action.COPY  # it was deleted


def test_an_item_that_a_fallback_serves_is_current() -> None:
    assert is_current(item(), record(of(SECOND)).schedule)
    assert not is_current(item(), record(of(OTHER)).schedule)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (SourceMissing("x"), True),
        (SourceDenied("x"), True),
        (SourceUnavailable("x"), True),
        (SourceTooSlow("x"), True),
        (SourceRefused("x"), True),
        (SourceTooLarge("x"), True),
        (DeclaredMismatch("x"), True),
        (SourceChanged("x"), False),
        (ChecksumMismatch("of the store"), False),
        (StoreUnavailable("x"), False),
        (JournalUnavailable("x"), False),
        (RuntimeError("x"), False),
    ],
)
def test_which_errors_lead_to_the_next_url(error: Exception, expected: bool) -> None:
    assert moves_on(error) is expected


def blocked(source: str, reason: Reason, message: str) -> Unserved:
    return Unserved(source, Outcome(state=State.BLOCKED, reason=reason, message=message))


def later(source: str, retry_in: float | None, **more: bool) -> Unserved:
    outcome = Outcome(
        state=State.RETRYING, reason=Reason.SOURCE_UNAVAILABLE, message="is away", retry_in=retry_in, **more
    )
    return Unserved(source, outcome)


MISSING = blocked("http://one/x", Reason.SOURCE_MISSING, "http://one/x: answered 404")
DENIED = blocked("http://two/x", Reason.SOURCE_DENIED, "http://cdn/x: answered 403")
WRONG = blocked("http://two/x", Reason.CHECKSUM_MISMATCH, "wrong bytes")
ODD = blocked("http://two/x", Reason.INTERNAL_ERROR, "odd")


@pytest.mark.parametrize(
    ("unserved", "state", "reason", "retry_in"),
    [
        ((MISSING, MISSING), State.BLOCKED, Reason.SOURCE_MISSING, None),
        ((MISSING, DENIED), State.BLOCKED, Reason.SOURCE_DENIED, None),
        ((MISSING, WRONG), State.BLOCKED, Reason.CHECKSUM_MISMATCH, None),
        ((WRONG, MISSING), State.BLOCKED, Reason.CHECKSUM_MISMATCH, None),
        ((ODD, MISSING), State.BLOCKED, Reason.SOURCE_MISSING, None),
        ((MISSING, later("http://two/x", 3.0)), State.RETRYING, Reason.SOURCE_UNAVAILABLE, 3.0),
        ((later("http://one/x", 9.0), later("http://two/x", 3.0)), State.RETRYING, Reason.SOURCE_UNAVAILABLE, 3.0),
        ((later("http://one/x", None), later("http://two/x", 3.0)), State.RETRYING, Reason.SOURCE_UNAVAILABLE, 3.0),
        ((later("http://one/x", None), DENIED), State.RETRYING, Reason.SOURCE_UNAVAILABLE, None),
    ],
)
def test_the_outcome_if_none_serves(
    unserved: tuple[Unserved, ...], state: State, reason: Reason, retry_in: float | None
) -> None:
    outcome = none_serves(unserved)
    assert (outcome.state, outcome.reason, outcome.retry_in) == (state, reason, retry_in)


def test_the_message_names_each_url_once() -> None:
    assert none_serves((MISSING, DENIED, later("http://three/x", 1.0))).message == (
        "none of 3 URLs serves it: http://one/x: answered 404; http://two/x: http://cdn/x: answered 403; "
        "http://three/x: is away"
    )


def test_an_attempt_counts_if_one_host_that_may_serve_later_was_asked_outside_an_outage() -> None:
    held, outage = later("http://one/x", 5.0, tried=False, counts=False), later("http://two/x", 5.0, counts=False)
    usual = later("http://two/x", 5.0)
    assert (none_serves((held, held)).tried, none_serves((held, held)).counts) == (False, False)
    assert (none_serves((held, outage)).tried, none_serves((held, outage)).counts) == (True, False)
    assert none_serves((held, usual)).counts
    assert (none_serves((held, MISSING)).tried, none_serves((held, MISSING)).counts) == (True, False)


def test_an_object_of_other_bytes_is_no_match_for_another_url_that_has_those_that_were_sent() -> None:
    """The record has the checksum of what was sent. A comparison with it would keep the object."""
    other = record(Revision(address=fingerprint(FIRST.address)), integrity=None)
    shown = StoredObject(size=3, etag='"o1"')
    assert decide(item(SECOND), other, shown, Observed(revision=of(SECOND))).action is Action.COPY
