"""The lock of a rewritten object at a store that keeps the former lock, as SeaweedFS does: set after the copy, also by
the next check after a crash, and without a second copy."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from mirrord.errors import Reason, StoreDenied, StoreUnavailable
from mirrord.model import Destination, ObjectLock, ObjectOptions, State, StoredObject
from mirrord.testing import MemorySource
from tests.support.called_store import Calls
from tests.support.item_world import AT, World

DAY = 86400.0
SHORT = ObjectOptions(lock_mode="GOVERNANCE", retain=DAY)
LONG = ObjectOptions(lock_mode="GOVERNANCE", retain=9 * DAY, cache_control="no-store")


class KeepsLocks(Calls):
    """A copy has the lock that the object had before; `refused`: raised by PutObjectRetention, once for each error."""

    def __init__(self) -> None:
        super().__init__()
        self._clock = lambda: 1000.0
        self.refused: list[BaseException] = []

    async def copy_object(self, source: Destination, at: Destination, options: Any, *given: Any, **more: Any) -> Any:
        details = await self.inspect_object(source)
        stored: StoredObject = await super().copy_object(source, at, replace(options, lock_mode=None), *given, **more)
        if details is not None and details.lock is not None:
            self.locks[at.bucket, at.key, stored.version_id or ""] = details.lock
        return stored

    async def put_retention(self, at: Destination, version_id: str, lock: ObjectLock, *, bypass: bool = False) -> None:
        self._called("retention")
        if self.refused:
            raise self.refused.pop(0)
        await super().put_retention(at, version_id, lock, bypass=bypass)


class Locked(World):
    """A world whose object is there, in a bucket with versions."""

    def __init__(self) -> None:
        self.calls = KeepsLocks()
        super().__init__(store=self.calls, origin=MemorySource(ranges=False), tries=2)
        self.calls.versioned.add("bucket")

    async def made(self, options: ObjectOptions) -> None:
        assert (await self.check(object=options)).state is State.SYNCED
        self.calls.calls.clear()

    async def locked_for(self) -> float:
        details = await self.calls.inspect_object(AT)
        assert details is not None
        assert details.lock is not None
        return details.lock.until - 1000.0


async def test_the_lock_is_set_after_the_copy() -> None:
    world = Locked()
    await world.made(SHORT)
    assert (await world.check(object=LONG)).state is State.SYNCED
    assert (world.calls.calls, await world.locked_for()) == (["copy", "retention"], 9 * DAY)
    assert (await world.check(object=LONG)).copied is None
    assert world.calls.calls == ["copy", "retention"]


async def test_a_lock_that_the_copy_set_needs_no_call() -> None:
    world = Locked()
    await world.made(replace(LONG, cache_control=None))
    assert (await world.check(object=LONG)).state is State.SYNCED
    assert world.calls.calls == ["copy"]
    assert (await world.check(object=LONG)).copied is None
    assert world.calls.calls == ["copy"]


@pytest.mark.parametrize("error", [StoreDenied("403"), StoreUnavailable("503"), asyncio.CancelledError()])
async def test_a_lock_that_was_not_set_is_set_by_the_next_check_without_a_copy(error: BaseException) -> None:
    world = Locked()
    await world.made(SHORT)
    world.calls.refused = [error]
    try:
        outcome = await world.check(object=LONG)
        blocked = isinstance(error, StoreDenied)
        assert outcome.state is (State.BLOCKED if blocked else State.RETRYING)
        assert outcome.reason is (Reason.STORE_DENIED if blocked else Reason.STORE_UNAVAILABLE)
    except asyncio.CancelledError:
        pass
    assert await world.locked_for() == DAY
    assert (await world.check(object=LONG)).state is State.SYNCED
    assert (world.calls.calls, await world.locked_for()) == (["copy", "retention", "retention"], 9 * DAY)
    assert await world.unfinished() == 0


async def test_a_kill_between_the_copy_and_its_record_is_repaired_without_a_copy() -> None:
    world = Locked()
    await world.made(SHORT)
    copy = world.calls.copy_object

    async def lost(*given: Any, **more: Any) -> StoredObject:
        await copy(*given, **more)
        raise asyncio.CancelledError

    world.calls.copy_object = lost  # type: ignore[method-assign]
    with pytest.raises(asyncio.CancelledError):
        await world.check(object=LONG)
    assert (await world.check(object=LONG)).state is State.SYNCED
    assert (world.calls.calls, await world.locked_for()) == (["copy", "retention"], 9 * DAY)


async def test_a_store_without_versions_is_not_asked_for_ever() -> None:
    world = Locked()
    world.calls.versioned.clear()
    await world.made(SHORT)
    for _ in range(3):
        assert (await world.check(object=LONG)).state is State.SYNCED
    assert world.calls.calls == ["copy"]
