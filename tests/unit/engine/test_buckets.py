"""Declared buckets: each is created separately, retried, and compared if it exists."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from mirrord.declared import BucketLock, BucketOptions, StoreOptions
from mirrord.engine import buckets as module
from mirrord.engine.buckets import CHECK_EVERY, PAUSE, Buckets
from mirrord.errors import StoreDenied, StoreError, StoreRefused, StoreUnavailable
from mirrord.testing import MemoryStore


@dataclass
class Store(MemoryStore):
    """Refuses to create what is in `refused`."""

    refused: dict[str, StoreError] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    async def ensure_bucket(
        self, bucket: str, *, region: str | None = None, versioning: bool = False, lock: BucketLock | None = None
    ) -> bool:
        self.asked.append(bucket)
        if bucket in self.refused:
            raise self.refused[bucket]
        return await super().ensure_bucket(bucket, region=region, versioning=versioning, lock=lock)


def declared(store: Store, *, read_only: bool = False, **buckets: BucketOptions) -> Buckets:
    return Buckets(store, StoreOptions(name="here", buckets=buckets), read_only=read_only)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    now = [1000.0]
    monkeypatch.setattr(module, "_now", lambda: now[0])

    def pass_by(seconds: float) -> None:
        now[0] += seconds

    return pass_by


CREATE = BucketOptions(create=True)
VERSIONED = BucketOptions(create=True, versioning=True)


@pytest.mark.parametrize("error", [StoreDenied("403"), StoreRefused("InvalidBucketName"), StoreUnavailable("503")])
async def test_a_bucket_that_cannot_be_created_fails_only_its_own_items(error: StoreError) -> None:
    store = Store(refused={"bad": error})
    made = declared(store, bad=CREATE, good=CREATE)
    await made.prepare()
    await made.require("good")
    await made.require("of-others")
    with pytest.raises(type(error), match=str(error)):
        await made.require("bad")
    assert set(store.buckets) == {"good"}


async def test_creation_is_retried_after_a_pause(later: Callable[[float], None]) -> None:
    store = Store(refused={"bad": StoreDenied("403")})
    made = declared(store, bad=CREATE)
    await made.prepare()
    for _ in range(3):
        with pytest.raises(StoreDenied):
            await made.require("bad")
    assert store.asked == ["bad"]
    store.refused.clear()
    later(PAUSE)
    await made.require("bad")
    await made.require("bad")
    assert (store.asked, set(store.buckets)) == (["bad", "bad"], {"bad"})


async def test_a_transient_error_is_retried_at_once() -> None:
    store = Store(refused={"bad": StoreUnavailable("503")})
    made = declared(store, bad=CREATE)
    await made.prepare()
    store.refused.clear()
    await made.require("bad")
    assert set(store.buckets) == {"bad"}


async def test_a_deleted_bucket_is_created_again_by_a_later_check(later: Callable[[float], None]) -> None:
    store = Store()
    made = declared(store, here=VERSIONED)
    await made.prepare()
    store.buckets.clear()
    store.versioned.clear()
    later(CHECK_EVERY)
    await made.require("here")
    assert (set(store.buckets), store.versioned, made.differences) == ({"here"}, {"here"}, {})
    store.buckets.clear()
    store.refused["here"] = StoreDenied("403")
    later(CHECK_EVERY)
    with pytest.raises(StoreDenied):
        await made.require("here")


async def test_a_bucket_without_permission_for_head_blocks_nothing(
    later: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store()
    made = declared(store, here=CREATE)
    await made.prepare()

    async def denied(_: str) -> bool:
        raise StoreDenied("403")

    monkeypatch.setattr(store, "has_bucket", denied)
    later(CHECK_EVERY)
    await made.require("here")
    assert store.asked == ["here"]


async def test_versioning_is_enabled_only_in_a_bucket_that_is_created(caplog: pytest.LogCaptureFixture) -> None:
    store = Store()
    store.buckets["old"] = {}
    made = declared(store, old=VERSIONED, new=VERSIONED, other=CREATE)
    await made.prepare()
    assert store.versioned == {"new"}
    assert list(made.differences) == ["old"]
    assert "s3://old at store 'here' exists and has no versioning" in made.differences["old"]
    assert made.differences["old"] in caplog.text


@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize("create", [True, False])
async def test_a_bucket_with_versioning_does_not_differ(create: bool, read_only: bool) -> None:
    store = Store()
    store.buckets["old"] = {}
    store.versioned.add("old")
    made = declared(store, read_only=read_only, old=BucketOptions(create=create, versioning=True))
    await made.prepare()
    assert (made.differences, made.missing) == ({}, set())


@pytest.mark.parametrize("create", [True, False])
async def test_read_only_creates_nothing_and_lists_missing_buckets(create: bool) -> None:
    store = Store()
    store.buckets["old"] = {}
    wanted = BucketOptions(create=create, versioning=True)
    made = declared(store, read_only=True, old=wanted, new=wanted)
    await made.prepare()
    assert (set(store.buckets), store.versioned, store.asked) == ({"old"}, set(), [])
    assert "old" in made.differences
    assert made.missing == ({"new"} if create else set())


async def test_versioning_without_permission_to_read_it_blocks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()

    async def denied(_: str) -> str:
        raise StoreDenied("403")

    monkeypatch.setattr(store, "bucket_versioning", denied)
    store.buckets["old"] = {}
    made = declared(store, old=VERSIONED, theirs=BucketOptions(versioning=True))
    await made.prepare()
    await made.require("old")
    await made.require("theirs")
    assert made.differences == {}
