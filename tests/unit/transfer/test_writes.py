"""What settles a write whose answer cannot be trusted: which errors are asked about, repeated, or believed."""

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
    """Answers to the write and to HEAD in the order given; the last one for ever."""

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
            etags=etags or believed(),
            retry=RetryPolicy(rule=WRITE_BACKOFF, sleep=self.sleep, chance=lambda: 0.5),
        )
        return await write.resolve(self.ask)


def believed() -> ETagAgreement:
    """The ETag of this store's etags is known to be the one that HEAD shows."""
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
async def test_it_ends_with_what_stands(
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
async def test_it_raises_what_says_that_it_did_not_happen_or_that_nobody_knows(
    writes: Sequence[Step], heads: Sequence[Step], log: str, raised: MirrordError | type[MirrordError]
) -> None:
    store = Store(writes=writes, heads=heads)
    with pytest.raises(raised if isinstance(raised, type) else type(raised)) as caught:
        await store.resolve()
    assert isinstance(raised, type) or caught.value is raised
    assert store.log == log.split()


async def test_an_object_without_a_transfers_id_is_not_guessed_about() -> None:
    store = Store(writes=[LOST], heads=[OURS])
    with pytest.raises(OutcomeUnknown):
        await store.resolve(None)
    assert store.log == ["write"]


async def test_pauses_double_with_chance() -> None:
    store = Store(writes=[AWAY])
    with pytest.raises(StoreUnavailable):
        await store.resolve()
    assert store.slept == [0.125, 0.25, 0.5]


# ── an answer that says it worked ─────────────────────────────────────────────────────────────────
async def test_an_answer_is_believed_if_it_proves_the_bytes_and_its_etag_is_known_to_be_true() -> None:
    store = Store(writes=[ANSWER])
    assert await store.resolve() == ANSWER
    assert store.log == ["write"]


@pytest.mark.parametrize("proves", [True, False])
async def test_what_is_not_known_is_asked_once(proves: bool) -> None:
    store = Store(writes=[ANSWER], heads=[OURS])
    assert await store.resolve(proves=proves, etags=ETagAgreement()) == OURS
    assert store.log == ["write", "head"]
    store = Store(writes=[ANSWER], heads=[OURS])
    assert await store.resolve(proves=False) == OURS


@pytest.mark.parametrize("head", [None, StoreDenied("403"), StoreUnavailable("503"), standing("another transfer's")])
async def test_where_no_head_shows_the_object_the_answer_stands(head: Step) -> None:
    store = Store(writes=[ANSWER], heads=[head])
    assert await store.resolve(etags=ETagAgreement()) == ANSWER
    assert store.log == ["write", "head"]


async def test_an_answer_that_proves_nothing_and_after_which_nothing_stands_there_is_not_believed() -> None:
    store = Store(writes=[ANSWER], heads=[None])
    with pytest.raises(OutcomeUnknown, match="check endpoint_url"):
        await store.resolve(proves=False)
    assert store.log == ["write", "head", "head"] * WRITE_BACKOFF.tries


async def test_an_object_without_an_etag_settles_nothing() -> None:
    store = Store(writes=[LOST], heads=[replace(OURS, etag='""')])
    with pytest.raises(OutcomeUnknown):
        await store.resolve()


async def test_answers_are_believed_once_a_head_agreed_and_never_again_once_one_did_not() -> None:
    etags, agrees = ETagAgreement(), replace(OURS, etag=ANSWER.etag)
    for heads, log in (([agrees], ["write", "head"]), ([agrees], ["write"])):
        store = Store(writes=[ANSWER], heads=heads)
        await store.resolve(etags=etags)
        assert store.log == log
    etags.observe(AT, agrees=False)
    etags.observe(AT, agrees=True)
    assert not etags.confirmed(AT)
    assert not believed().confirmed(replace(AT, bucket="other"))
