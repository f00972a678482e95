"""How the outcome of a write is resolved: after which errors a HEAD follows, and which are repeated or raised."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from mirrord.errors import (
    ChecksumMismatch,
    InvalidPart,
    MirrordError,
    NoSuchUpload,
    OutcomeUnknown,
    PreconditionFailed,
    StoreDenied,
    StoreRefused,
    StoreUnavailable,
)
from mirrord.model import META_TRANSFER, Checksum, ChecksumKind, Destination, StoredObject
from mirrord.testing import MemoryStore
from mirrord.transfer.retry import WRITE_BACKOFF, RetryPolicy
from mirrord.transfer.writes import ETagAgreement, ObjectWrite

AT = Destination("default", "http://store", "bucket", "key")
WHOLE = Checksum(ChecksumKind.CRC64NVME, "rosUhgp5mIg=")
OTHER = Checksum(ChecksumKind.CRC64NVME, "AAAAAAAAAAA=")


def standing(transfer: str = "ours", size: int = 3, checksum: Checksum | None = WHOLE) -> StoredObject:
    return StoredObject(size=size, etag='"e"', checksum=checksum, metadata={META_TRANSFER: transfer})


OURS = standing()
ANSWER = StoredObject(size=3, etag='"answer"')

Step = MirrordError | StoredObject | None


@dataclass
class Store(MemoryStore):
    """Answers to the write and to HEAD in the given order; the last one is repeated."""

    writes: Sequence[Step] = ()
    heads: Sequence[Step] = (None,)
    log: list[str] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)

    def next(self, what: str, steps: Sequence[Step]) -> StoredObject | None:
        step = steps[min(self.log.count(what), len(steps) - 1)]
        self.log.append(what)
        if isinstance(step, MirrordError):
            raise step
        return step

    async def head_object(self, at: Destination) -> StoredObject | None:
        return self.next("head", self.heads)

    async def ask(self) -> StoredObject:
        stored = self.next("write", self.writes)
        assert stored is not None
        return stored

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def resolve(
        self, transfer_id: str | None = "ours", *, proves: bool = True, etags: ETagAgreement | None = None
    ) -> StoredObject:
        write = ObjectWrite(
            store=self,
            at=AT,
            transfer_id=transfer_id,
            size=3,
            whole=WHOLE,
            proves=lambda _: proves,
            etags=etags or agreed(),
            retry=RetryPolicy(rule=WRITE_BACKOFF, sleep=self.sleep, chance=lambda: 0.5),
        )
        return await write.resolve(self.ask)


def agreed() -> ETagAgreement:
    """Earlier HEADs of this bucket agreed with the ETags of the answers."""
    etags = ETagAgreement()
    etags.observe(AT, agrees=True)
    return etags


LOST, TAKEN, GONE = OutcomeUnknown("lost"), PreconditionFailed("412"), NoSuchUpload("gone")
AWAY, BUSY = StoreUnavailable("away"), StoreUnavailable("busy", retry_after=5.0)


@pytest.mark.parametrize(
    ("writes", "heads", "log", "result"),
    [
        ([ANSWER], [None], "write", ANSWER),
        ([LOST], [OURS], "write head", OURS),
        ([TAKEN], [OURS], "write head", OURS),
        ([GONE], [OURS], "write head", OURS),
        ([LOST], [standing(checksum=None)], "write head", standing(checksum=None)),
        ([LOST, ANSWER], [None], "write head write", ANSWER),
        ([LOST, ANSWER], [standing("a stranger's")], "write head write", ANSWER),
        ([LOST, ANSWER], [standing(size=4)], "write head write", ANSWER),
        ([LOST, ANSWER], [standing(checksum=OTHER)], "write head write", ANSWER),
        ([LOST, TAKEN], [None, OURS], "write head write head", OURS),
        ([LOST], [AWAY, AWAY, OURS], "write head head head", OURS),
        ([AWAY, ANSWER], [None], "write write", ANSWER),
        ([AWAY, GONE], [OURS], "write write head", OURS),
        ([ChecksumMismatch("a bit"), ANSWER], [None], "write write", ANSWER),
        ([InvalidPart("a bit"), ANSWER], [None], "write write", ANSWER),
    ],
)
async def test_it_returns_the_object_as_stored(
    writes: Sequence[Step], heads: Sequence[Step], log: str, result: StoredObject
) -> None:
    store = Store(writes=writes, heads=heads)
    assert await store.resolve() == result
    assert store.log == log.split()


@pytest.mark.parametrize(
    ("writes", "heads", "log", "raised"),
    [
        ([TAKEN], [None], "write head", TAKEN),
        ([TAKEN], [standing("a stranger's")], "write head", TAKEN),
        ([GONE], [standing("an earlier one's")], "write head", GONE),
        ([BUSY], [None], "write", BUSY),
        ([StoreDenied("403")], [None], "write", StoreDenied),
        ([StoreRefused("400")], [None], "write", StoreRefused),
        ([AWAY], [None], "write " * WRITE_BACKOFF.tries, AWAY),
        ([LOST], [None], "write head " * WRITE_BACKOFF.tries, LOST),
        ([LOST], [AWAY], "write" + " head" * WRITE_BACKOFF.tries, OutcomeUnknown),
        ([LOST], [BUSY], "write head", OutcomeUnknown),
        ([LOST], [StoreDenied("403")], "write head", OutcomeUnknown),
    ],
)
async def test_it_raises_the_refusal_or_that_the_outcome_is_unknown(
    writes: Sequence[Step], heads: Sequence[Step], log: str, raised: MirrordError | type[MirrordError]
) -> None:
    store = Store(writes=writes, heads=heads)
    with pytest.raises(raised if isinstance(raised, type) else type(raised)) as caught:
        await store.resolve()
    assert isinstance(raised, type) or caught.value is raised
    assert store.log == log.split()


async def test_without_a_transfer_id_there_is_no_guess() -> None:
    store = Store(writes=[LOST], heads=[OURS])
    with pytest.raises(OutcomeUnknown):
        await store.resolve(None)
    assert store.log == ["write"]


async def test_pauses_double_with_random_jitter() -> None:
    store = Store(writes=[AWAY])
    with pytest.raises(StoreUnavailable):
        await store.resolve()
    assert store.slept == [0.125, 0.25, 0.5]


# ── an answer that reports success ─────────────────────────────────────────────────────────────────
async def test_no_head_follows_if_the_answer_proves_the_bytes_and_its_etag_is_reliable() -> None:
    store = Store(writes=[ANSWER])
    assert await store.resolve() == ANSWER
    assert store.log == ["write"]


@pytest.mark.parametrize("proves", [True, False])
async def test_else_one_head_follows(proves: bool) -> None:
    store = Store(writes=[ANSWER], heads=[OURS])
    assert await store.resolve(proves=proves, etags=ETagAgreement()) == OURS
    assert store.log == ["write", "head"]
    store = Store(writes=[ANSWER], heads=[OURS])
    assert await store.resolve(proves=False) == OURS


@pytest.mark.parametrize("head", [None, StoreDenied("403"), StoreUnavailable("503"), standing("another transfer's")])
async def test_if_head_fails_or_shows_another_object_the_answer_counts(head: Step) -> None:
    store = Store(writes=[ANSWER], heads=[head])
    assert await store.resolve(etags=ETagAgreement()) == ANSWER
    assert store.log == ["write", "head"]


async def test_success_without_proof_and_without_an_object_is_an_unknown_outcome() -> None:
    store = Store(writes=[ANSWER], heads=[None])
    with pytest.raises(OutcomeUnknown, match="check endpoint_url"):
        await store.resolve(proves=False)
    assert store.log == ["write", "head", "head"] * WRITE_BACKOFF.tries


async def test_an_object_without_an_etag_resolves_nothing() -> None:
    store = Store(writes=[LOST], heads=[replace(OURS, etag='""')])
    with pytest.raises(OutcomeUnknown):
        await store.resolve()


async def test_answers_count_after_a_head_agreed_and_never_again_after_one_disagreed() -> None:
    etags, agrees = ETagAgreement(), replace(OURS, etag=ANSWER.etag)
    for heads, log in (([agrees], ["write", "head"]), ([agrees], ["write"])):
        store = Store(writes=[ANSWER], heads=heads)
        await store.resolve(etags=etags)
        assert store.log == log
    etags.observe(AT, agrees=False)
    etags.observe(AT, agrees=True)
    assert not etags.confirmed(AT)
    assert not agreed().confirmed(replace(AT, bucket="other"))
