"""The real `sync` with a faulty store: fault x operation x expected result.

Each row is verified with boto3 and with the requests that the proxy forwarded: the bytes, the previous object, open
uploads, the number of writes at the store, one terminal event for each attempt, and the report with its exit code.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from mirrord.engine import s3_stores
from mirrord.errors import Reason
from mirrord.events import (
    Event,
    ItemRetrying,
    TransferCompleted,
    TransferFailed,
    TransferInterrupted,
    TransferStarted,
    UploadAborted,
)
from mirrord.journal.sqlite import SqliteJournal
from mirrord.model import State
from mirrord.programs.api import sync
from mirrord.programs.report import Report
from mirrord.s3.session import S3Store
from mirrord.units import KiB, MiB
from tests.support import store_faults as faults
from tests.support.origin import Generated, Origin
from tests.support.proxy import StoreProxy
from tests.support.store_faults import ALWAYS, Faults, StoreFault
from tests.support.syncing import digest_of, manifest
from tests.support.syncing import sync as sync_command

PUT = Generated(64 * KiB, seed=1)
MULTIPART = Generated(5 * MiB + 64 * KiB, seed=2)  # two parts
THREE_PARTS = Generated(10 * MiB + 64 * KiB, seed=2)
"""The bit that is flipped in the list of its parts is in a checksum. With two parts the list would be malformed."""
OLD = b"what stood before"
OLD_DIGEST = sha256(OLD).hexdigest()
VISIBLE = ("PutObject", "CompleteMultipartUpload")
ENDS = (TransferCompleted, TransferFailed, TransferInterrupted)
DEADLINE = 2.0  # seconds; of each call to a store that stalls, and of those to weed on a busy machine


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unit tests cover the pauses between tries. Here they are almost zero, unless the store sends Retry-After."""
    monkeypatch.setattr("mirrord.transfer.retry.pause", lambda rule, failures, chance, retry_after=None: 0.01)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_stores, "S3Store", partial(S3Store, deadline=DEADLINE))
    monkeypatch.setattr("mirrord.s3.bounded_calls.MIN_RATE", 100 * MiB)
    monkeypatch.setattr("mirrord.s3.store.COMPLETE_FACTOR", 1)


@dataclass
class World:
    """One item, a proxy in front of the store, and the report of a sync."""

    home: Path
    proxy: StoreProxy
    client: Any
    bucket: str
    origin: Origin
    content: Generated = PUT
    options: str = ""
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.state = self.home / "state.db"

    def entry(self) -> Path:
        url = self.origin.publish("/source", self.content)
        body = f"{{url: '{url}', to: 's3://{self.bucket}/key', upload: {{part_size: 5MiB, multipart_threshold: 5MiB}}"
        return manifest(self.home, self.proxy.server, f"mirrors:\n  - {body}{self.options}}}\n")

    async def sync(self) -> Report:
        self.events.clear()
        self.proxy.clear()
        return await sync([str(self.home / "m.yaml")], state=f"sqlite://{self.state}", environ={}, observer=self.record)

    def record(self, event: Event) -> None:
        self.events.append(event)

    @property
    def writes(self) -> int:
        """How many writes of the object the store did."""
        return sum(one.operation in VISIBLE and one.forwarded and one.status == 200 for one in self.proxy.calls)

    def stored(self) -> bytes | str:
        """The old object's bytes, or the digest of another; empty: none."""
        try:
            digest = digest_of(self.client, self.bucket, "key")
        except self.client.exceptions.NoSuchKey:
            return b""
        return OLD if digest == OLD_DIGEST else digest

    def uploads(self) -> list[str]:
        return [one["UploadId"] for one in self.client.list_multipart_uploads(Bucket=self.bucket).get("Uploads", [])]

    def ends_agree(self) -> bool:
        """Each attempt that began ended once."""
        began = Counter((one.transfer_id, one.attempt) for one in self.events if isinstance(one, TransferStarted))
        ended = Counter((one.transfer_id, one.attempt) for one in self.events if isinstance(one, ENDS))
        return began == ended and set(began.values()) <= {1}

    async def journaled(self) -> list[str | None]:
        async with SqliteJournal(self.state, read_only=True) as journal:
            return [one.progress.upload_id async for one in journal.unfinished()]


@pytest.fixture
def world(tmp_path: Path, store_proxy: StoreProxy, s3_client: Any, bucket: str, origin: Origin) -> Callable[..., World]:
    return lambda **given: World(tmp_path, store_proxy, s3_client, bucket, origin, **given)


# ── once ──────────────────────────────────────────────────────────────────────────────────────────
FAULTS = [
    faults.internal_error,
    faults.unavailable,
    faults.too_many,
    faults.not_sent,
    faults.answer_lost,
    faults.executes_and_answers(500, "InternalError"),
]
ONCE = [
    *((operation, fault) for operation in ("PutObject", "CreateMultipartUpload", "UploadPart") for fault in FAULTS),
    *(("CompleteMultipartUpload", fault) for fault in FAULTS),
    *(("HeadObject", fault) for fault in FAULTS[:-1]),
    ("PutObject", faults.slow_down),
    ("PutObject", faults.body_damaged),
    ("PutObject", faults.executes_and_answers(412, "PreconditionFailed")),
    ("PutObject", faults.executes_and_answers(409, "ConditionalRequestConflict")),
    ("UploadPart", faults.body_damaged),
    ("CompleteMultipartUpload", faults.body_damaged),
    ("CompleteMultipartUpload", faults.error_in_200),
    ("CompleteMultipartUpload", faults.executes_and_answers(200, "InternalError")),
    ("CompleteMultipartUpload", faults.answer_truncated),
    ("CompleteMultipartUpload", faults.executes_and_answers(404, "NoSuchUpload")),
    ("CompleteMultipartUpload", faults.executes_and_answers(412, "PreconditionFailed")),
]
WRITTEN_AGAIN = {"PutObject: works and answers 409 ConditionalRequestConflict"}
"""The write succeeded, and the store answers that it did not."""
ANOTHER_ATTEMPT = {
    "PutObject: 503 SlowDown",  # the store sent Retry-After: the breaker blocks all its items until then
    *(f"HeadObject: {fault}" for fault in FAULTS[:3]),  # the HTTP client repeats it after a lost answer
}
"""What the attempt leaves for the next one. HEAD: nothing began."""


def named(row: tuple[str, StoreFault]) -> str:
    return f"{row[0]}: {row[1]}"


@pytest.mark.parametrize("row", ONCE, ids=named)
async def test_a_fault_that_happens_once_costs_no_second_write(
    world: Callable[..., World], row: tuple[str, StoreFault]
) -> None:
    operation, fault = row
    parts = THREE_PARTS if row == ("CompleteMultipartUpload", faults.body_damaged) else MULTIPART
    one = world(content=PUT if operation in ("PutObject", "HeadObject") else parts)
    one.client.put_object(Bucket=one.bucket, Key="key", Body=OLD)
    one.entry()
    planted = Faults(one.proxy).on(operation, fault)
    report = await one.sync()
    assert planted.met == 1
    assert (report.failed, report.copied) == (False, 1), report.left
    assert one.stored() == one.content.sha256()
    assert one.uploads() == []
    assert one.writes == 1 + (named(row) in WRITTEN_AGAIN)
    assert one.ends_agree()
    failed = [event for event in one.events if isinstance(event, TransferFailed | ItemRetrying)]
    assert len(failed) == (named(row) in ANOTHER_ATTEMPT), failed
    assert await one.journaled() == []


STALLED = [
    *((operation, faults.stalls) for operation in ("PutObject", "CreateMultipartUpload", "UploadPart", "HeadObject")),
    ("CompleteMultipartUpload", faults.stalls),
    *((operation, faults.answer_stalls) for operation in ("PutObject", "CreateMultipartUpload")),
    ("CompleteMultipartUpload", faults.answer_stalls),
]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("row", STALLED, ids=named)
async def test_a_call_that_stalls_ends_at_its_deadline(
    world: Callable[..., World], row: tuple[str, StoreFault]
) -> None:
    operation, fault = row
    one = world(content=PUT if operation in ("PutObject", "HeadObject") else MULTIPART)
    one.entry()
    planted = Faults(one.proxy).on(operation, fault)
    report = await one.sync()
    assert planted.met == 1
    assert (report.failed, report.copied) == (False, 1), report.left
    assert one.stored() == one.content.sha256()
    assert (one.uploads(), one.writes) == ([], 1)
    assert one.ends_agree()


# ── for good ──────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Lasting:
    operation: str
    fault: StoreFault
    state: State
    reason: Reason
    says: str
    lands: bool = False  # the object exists nevertheless

    def __str__(self) -> str:
        return f"{self.operation}: {self.fault}"


RETRYING = (State.RETRYING, Reason.STORE_UNAVAILABLE)
DENIED = (State.BLOCKED, Reason.STORE_DENIED)
MISMATCH = (State.BLOCKED, Reason.CHECKSUM_MISMATCH)
OPERATIONS = ("PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "HeadObject")
LASTING = [
    *(Lasting(operation, faults.internal_error, *RETRYING, "") for operation in OPERATIONS),
    *(Lasting(operation, faults.unavailable, *RETRYING, "") for operation in OPERATIONS),
    *(Lasting(operation, faults.not_sent, *RETRYING, "the connection failed") for operation in OPERATIONS),
    *(Lasting(operation, faults.denied, *DENIED, "") for operation in OPERATIONS),
    Lasting("PutObject", faults.body_damaged, *MISMATCH, "BadDigest"),
    Lasting("UploadPart", faults.body_damaged, *MISMATCH, "BadDigest"),
    Lasting("CompleteMultipartUpload", faults.error_in_200, *RETRYING, "InternalError"),
]


@pytest.mark.parametrize("row", LASTING, ids=str)
async def test_a_fault_that_lasts_leaves_the_old_object_and_a_message_and_passes(
    world: Callable[..., World], row: Lasting
) -> None:
    one = world(content=PUT if row.operation in ("PutObject", "HeadObject") else MULTIPART)
    one.client.put_object(Bucket=one.bucket, Key="key", Body=OLD)
    one.entry()
    planted = Faults(one.proxy).on(row.operation, row.fault, times=ALWAYS)
    report = await one.sync()
    (left,) = report.left
    assert (left.outcome.state, left.outcome.reason) == (row.state, row.reason)
    assert row.operation in left.outcome.message
    assert row.says in left.outcome.message
    assert one.stored() == OLD
    assert one.writes == 0
    assert one.ends_agree()
    assert one.uploads() == [known for known in await one.journaled() if known is not None]
    assert one.uploads() == [] or row.state is State.RETRYING, "parts are kept for another try, and for nothing else"

    planted.lift()
    again = await one.sync()
    assert (again.failed, again.copied, one.writes) == (False, 1, 1), again.left
    assert one.stored() == one.content.sha256()
    assert (one.uploads(), await one.journaled()) == ([], [])


# ── unknown outcomes ─────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("content", [PUT, MULTIPART], ids=["put", "multipart"])
async def test_a_lost_answer_under_overwrite_never_is_no_conflict(
    world: Callable[..., World], content: Generated
) -> None:
    one = world(content=content, options=", overwrite: never")
    one.entry()
    operation = VISIBLE[content is MULTIPART]
    Faults(one.proxy).on(operation, faults.answer_lost).on("HeadObject", faults.unavailable, skip=1, times=2)
    report = await one.sync()
    assert (report.failed, report.copied, one.writes) == (False, 1, 1), report.left
    assert one.proxy.counts[operation] == 1
    assert one.stored() == content.sha256()


async def test_our_own_earlier_try_that_takes_effect_late_is_no_conflict(world: Callable[..., World]) -> None:
    """The store answers 412 to the second try, because the first took effect after the HEAD that did not find it."""
    one = world(options=", overwrite: never")
    one.entry()
    first, second = faults.lands_late()
    Faults(one.proxy).on("PutObject", first).on("PutObject", second, skip=1)
    report = await one.sync()
    assert [call.status for call in one.proxy.calls if call.operation == "PutObject"] == [0, 412]
    assert (report.failed, report.copied) == (False, 1), report.left
    assert one.stored() == PUT.sha256()


@pytest.mark.parametrize("content", [PUT, MULTIPART], ids=["put", "multipart"])
async def test_an_object_of_another_program_under_overwrite_never_is_a_conflict(
    world: Callable[..., World], content: Generated
) -> None:
    """It appeared between our check and our write: the store refuses, and HEAD shows that it is not ours."""
    one = world(content=content, options=", overwrite: never")
    one.entry()
    Faults(one.proxy).on("HeadObject", faults.answers(404, "NoSuchKey"))
    one.client.put_object(Bucket=one.bucket, Key="key", Body=OLD)
    report = await one.sync()
    (left,) = report.left
    assert (left.outcome.state, left.outcome.reason) == (State.BLOCKED, Reason.CONFLICT)
    assert one.stored() == OLD
    assert one.uploads() == []
    assert one.ends_agree()


async def test_a_complete_that_succeeded_and_answers_no_such_upload_when_repeated(world: Callable[..., World]) -> None:
    one = world(content=MULTIPART)
    one.entry()
    first = faults.executes_and_answers(503, "ServiceUnavailable")
    repeated = faults.answers(404, "NoSuchUpload")
    Faults(one.proxy).on("CompleteMultipartUpload", first).on("CompleteMultipartUpload", repeated, skip=1)
    report = await one.sync()
    assert (report.failed, report.copied, one.writes) == (False, 1, 1), report.left
    assert one.proxy.counts["CompleteMultipartUpload"] == 2
    assert one.stored() == MULTIPART.sha256()


async def test_an_upload_that_is_gone_starts_over(world: Callable[..., World]) -> None:
    one = world(content=MULTIPART)
    one.entry()
    Faults(one.proxy).on("CompleteMultipartUpload", faults.answers(404, "NoSuchUpload"))
    report = await one.sync()
    assert (report.failed, report.copied, one.writes) == (False, 1, 1), report.left
    assert one.stored() == MULTIPART.sha256()
    assert one.uploads() == []


async def test_a_write_with_unknown_outcome_is_not_repeated_before_a_head(
    world: Callable[..., World],
) -> None:
    """The attempt fails, and the next one makes a HEAD before it writes."""
    one = world()
    one.entry()
    planted = Faults(one.proxy)
    planted.on("PutObject", faults.answer_lost).on("HeadObject", faults.unavailable, skip=1, times=8)
    report = await one.sync()
    assert (report.failed, one.proxy.counts["PutObject"], one.writes) == (False, 1, 1), report.left
    assert one.stored() == PUT.sha256()
    assert await one.journaled() == []


# ── uploads that are aborted ──────────────────────────────────────────────────────────────────
ABORTS = [faults.internal_error, faults.unavailable, faults.not_sent, faults.answer_lost]


@pytest.mark.parametrize("fault", ABORTS, ids=str)
async def test_an_abort_that_fails_once_is_repeated(world: Callable[..., World], fault: StoreFault) -> None:
    one = world(content=MULTIPART, options=f", checksum: 'sha256:{'0' * 64}'")
    one.entry()
    planted = Faults(one.proxy).on("AbortMultipartUpload", fault)
    report = await one.sync()
    assert planted.met == 1
    assert [left.outcome.reason for left in report.left] == [Reason.CHECKSUM_MISMATCH]
    assert (one.stored(), one.writes, one.uploads()) == (b"", 0, [])
    assert one.ends_agree()


@pytest.mark.parametrize("fault", [faults.internal_error, faults.denied, faults.not_sent], ids=str)
async def test_an_abort_that_keeps_failing_is_left_to_the_next_sweep(
    world: Callable[..., World], fault: StoreFault
) -> None:
    one = world(content=MULTIPART, options=f", checksum: 'sha256:{'0' * 64}'")
    one.entry()
    planted = Faults(one.proxy).on("AbortMultipartUpload", fault, times=ALWAYS)
    report = await one.sync()
    assert [left.outcome.reason for left in report.left] == [Reason.CHECKSUM_MISMATCH]
    (upload,) = one.uploads()

    planted.lift()
    one.origin.withdraw("/source")
    await one.sync()
    assert one.uploads() == []
    assert upload in [event.upload_id for event in one.events if isinstance(event, UploadAborted)]
    await one.sync()
    assert one.proxy.counts["AbortMultipartUpload"] == 0


# ── exit codes of the command ─────────────────────────────────────────────────────────────────────────
async def test_the_command_ends_well_after_a_fault_and_with_1_while_it_lasts(
    world: Callable[..., World],
) -> None:
    one = world()
    file = one.entry()
    planted = Faults(one.proxy).on("PutObject", faults.denied, times=ALWAYS)
    done = await sync_command(one.home, file)
    assert done.code == 1, done.output
    assert "AccessDenied" in done.out + done.err
    planted.lift()
    Faults(one.proxy).on("PutObject", faults.answer_lost)
    assert (await sync_command(one.home, file)).code == 0
    assert one.stored() == PUT.sha256()
