"""Objects of which only the options changed: rewritten by their store, without a byte of the source."""

import asyncio
import hashlib
from dataclasses import replace
from typing import Any

import pytest

from mirrord.errors import MirrordError, OutcomeUnknown, Reason, StoreDenied, StoreRefused
from mirrord.events import TransferCompleted
from mirrord.model import (
    META_TRANSFER,
    META_VALIDATOR,
    Copied,
    DeclaredSum,
    File,
    Integrity,
    ObjectOptions,
    Observed,
    Overwrite,
    Part,
    Revision,
    SourceRequirements,
    State,
    StoredObject,
)
from mirrord.reconcile.transfer_slots import TransferSlots
from mirrord.testing import MemorySource
from mirrord.units import MiB
from tests.support.called_store import Calls
from tests.support.item_world import AT, World

NO_STORE = ObjectOptions(cache_control="no-store")
PIECES = (b"a" * 5 * MiB, b"b" * 5 * MiB, b"c")


class Rewrites(World):
    """A world whose object is there."""

    def __init__(self, **limits: Any) -> None:
        self.calls = Calls(**limits)
        super().__init__(store=self.calls, origin=MemorySource(ranges=False, content_type="text/of-source"), tries=2)

    async def made(self, **options: object) -> None:
        """The object is written."""
        assert (await self.check(**options)).state is State.SYNCED
        self.calls.calls.clear()
        self.origin.log.known.clear()

    @property
    def asked(self) -> list[bool]:
        """For each request of the source, whether it was conditional."""
        return [known is not None for known in self.origin.log.known]

    def replace_source(self, content: bytes) -> None:
        self.origin.content, self.origin.etag = content, '"2"'

    @property
    def options(self) -> ObjectOptions:
        return self.store.buckets["bucket"][AT.key].options

    @property
    def copied(self) -> Copied:
        (found,) = (event for event in self.events if isinstance(event, TransferCompleted))
        return found.copied


async def test_the_store_rewrites_an_object_whose_options_changed() -> None:
    world = Rewrites()
    await world.made()
    before = world.options.metadata
    outcome = await world.check(object=NO_STORE)
    assert (outcome.state, world.calls.calls, world.asked) == (State.SYNCED, ["copy"], [True])
    assert (world.options.cache_control, world.options.content_type) == ("no-store", "text/of-source")
    assert world.options.metadata[META_VALIDATOR] == before[META_VALIDATOR]
    assert world.options.metadata[META_TRANSFER] == world.copied.transfer_id != before[META_TRANSFER]
    assert (world.copied.reused, world.copied.integrity) == (True, Integrity.FULL_OBJECT)
    assert await world.unfinished() == 0

    world.calls.calls.clear()
    assert (await world.check(object=NO_STORE)).copied is None
    assert world.calls.calls == []


async def test_a_source_that_changed_too_is_sent() -> None:
    world = Rewrites()
    await world.made()
    world.replace_source(b"another")
    await world.check(object=NO_STORE)
    assert (world.calls.calls, world.content, world.options.cache_control) == (["put"], b"another", "no-store")


async def test_a_removed_content_type_is_the_one_of_the_source_again() -> None:
    world = Rewrites()
    await world.made(object=ObjectOptions(content_type="text/x"))
    await world.check()
    assert (world.calls.calls, world.asked, world.options.content_type) == (["copy"], [True, False], "text/of-source")


async def test_an_object_written_with_unknown_options_asks_the_source_for_its_headers() -> None:
    world = Rewrites()
    await world.made(object=ObjectOptions(content_type="text/x"))
    world.journal._options.clear()
    await world.check()
    assert (world.calls.calls, world.options.content_type) == (["copy"], "text/of-source")


async def test_a_source_that_changes_while_it_is_asked_for_its_headers_is_checked_again() -> None:
    world = Rewrites()
    await world.made(object=ObjectOptions(content_type="text/x"))
    origin = world.origin
    ask = origin.probe

    async def probe(known: Revision | None = None) -> Observed | None:
        if known is None:
            world.replace_source(b"another")
        return await ask(known)

    origin.probe = probe  # type: ignore[method-assign]
    assert (await world.check()).reason is Reason.SOURCE_CHANGED
    assert world.calls.calls == []
    assert (await world.check()).state is State.SYNCED
    assert (world.content, world.calls.calls) == (b"another", ["put"])


async def test_the_type_of_a_file_is_that_of_its_name_once_the_manifest_sets_none() -> None:
    world = Rewrites()
    world.item = replace(world.item, origin=File(None, "/in/a.txt"))
    await world.made(object=ObjectOptions(content_type="application/x", content_encoding="gzip"))
    await world.check(object=NO_STORE)
    assert (world.calls.calls, world.options.content_type) == (["copy"], "text/plain")
    assert world.options.content_encoding is None


async def test_the_class_that_a_rule_of_the_bucket_gave_stays() -> None:
    world = Rewrites()
    await world.made()
    kept = world.store.buckets["bucket"][AT.key]
    moved = replace(kept, options=replace(kept.options, storage_class="GLACIER_IR"))
    world.store.buckets["bucket"][AT.key] = moved
    await world.check(object=NO_STORE)
    assert (world.calls.calls, world.options.storage_class) == (["copy"], "GLACIER_IR")
    await world.check(object=replace(NO_STORE, storage_class="STANDARD_IA"))
    assert world.options.storage_class == "STANDARD_IA"


async def test_a_large_object_is_rewritten_in_parts() -> None:
    world = Rewrites(max_put=6 * MiB, max_part=5 * MiB)
    world.replace_source(b"".join(PIECES))
    await world.made()
    await world.check(object=NO_STORE)
    assert sorted(world.calls.calls) == ["copy 1", "copy 2", "copy 3"]
    assert (world.content, world.options.cache_control) == (b"".join(PIECES), "no-store")
    assert world.copied.integrity is not Integrity.LENGTH


async def test_an_interrupted_rewrite_in_parts_copies_only_the_missing_parts() -> None:
    world = Rewrites(max_put=6 * MiB, max_part=5 * MiB)
    world.replace_source(b"".join(PIECES))
    await world.made()
    copy_part = world.calls.copy_part

    async def interrupted(source: Any, at: Any, upload_id: str, number: int, *given: Any, **more: Any) -> Part:
        if number == 3:
            await asyncio.Event().wait()
        return await copy_part(source, at, upload_id, number, *given, **more)

    world.calls.copy_part = interrupted  # type: ignore[method-assign]
    check = asyncio.create_task(world.check(object=NO_STORE))
    for _ in range(200):
        await asyncio.sleep(0)
    check.cancel()
    with pytest.raises(asyncio.CancelledError):
        await check
    assert await world.unfinished() == 1
    world.calls.calls.clear()
    world.calls.copy_part = copy_part  # type: ignore[method-assign]
    assert (await world.check(object=NO_STORE)).state is State.SYNCED
    assert world.calls.calls == ["copy 3"]
    assert (world.content, world.options.cache_control) == (b"".join(PIECES), "no-store")
    assert (await world.unfinished(), world.store.uploads) == (0, {})


async def test_parts_of_a_rewrite_with_other_options_are_dropped() -> None:
    world = Rewrites(max_put=6 * MiB, max_part=5 * MiB)
    world.replace_source(b"".join(PIECES))
    await world.made()
    complete = world.calls.complete_upload

    async def interrupted(*given: Any, **more: Any) -> StoredObject:
        raise asyncio.CancelledError

    world.calls.complete_upload = interrupted  # type: ignore[method-assign]
    with pytest.raises(asyncio.CancelledError):
        await world.check(object=NO_STORE)
    world.calls.complete_upload = complete  # type: ignore[method-assign]
    assert (await world.check(object=ObjectOptions(cache_control="max-age=2"))).state is State.SYNCED
    assert world.options.cache_control == "max-age=2"
    assert world.content == b"".join(PIECES)


@pytest.mark.parametrize("refusal", [StoreRefused("501 NotImplemented"), StoreDenied("403")])
async def test_the_bytes_are_sent_if_the_store_refuses(refusal: MirrordError) -> None:
    world = Rewrites()
    await world.made()
    world.calls.fails["copy"] = [refusal]
    assert (await world.check(object=NO_STORE)).state is State.SYNCED
    assert (world.calls.calls, world.options.cache_control) == (["copy", "put"], "no-store")
    assert await world.unfinished() == 0


async def test_the_bytes_are_sent_if_the_store_keeps_the_former_options() -> None:
    world = Rewrites()
    await world.made()

    async def keeps(*given: Any, **more: Any) -> StoredObject:
        world.calls.calls.append("copy")
        kept = world.store.buckets["bucket"][AT.key]
        return replace(kept.stored, metadata={})

    world.calls.copy_object = keeps  # type: ignore[method-assign]
    assert (await world.check(object=NO_STORE)).state is State.SYNCED
    assert (world.calls.calls, world.options.cache_control) == (["copy", "put"], "no-store")


async def test_a_copy_that_the_store_does_not_prove_is_read_back() -> None:
    world = Rewrites()
    await world.made()
    copy = world.calls.copy_object

    async def shows_nothing(*given: Any, **more: Any) -> StoredObject:
        answer = await copy(*given, **more)
        kept = world.store.buckets["bucket"][AT.key]
        shown = replace(kept.stored, etag='"random"', checksum=None)
        world.store.buckets["bucket"][AT.key] = replace(kept, stored=shown)
        return replace(answer, etag='"random"', checksum=None)

    world.calls.copy_object = shows_nothing  # type: ignore[method-assign]
    assert (await world.check(object=NO_STORE)).state is State.SYNCED
    assert (world.calls.calls, world.options.cache_control) == (["copy", "get"], "no-store")
    assert world.copied.integrity is Integrity.READBACK


async def test_an_archived_object_is_blocked_until_it_is_restored() -> None:
    world = Rewrites()
    await world.made(object=ObjectOptions(storage_class="GLACIER"))
    outcome = await world.check(object=NO_STORE)
    assert (outcome.state, outcome.reason, world.calls.calls) == (State.BLOCKED, Reason.STORE_REFUSED, [])
    assert "GLACIER" in outcome.message
    assert "restore it first" in outcome.message
    kept = world.store.buckets["bucket"][AT.key]
    world.store.buckets["bucket"][AT.key] = replace(kept, options=replace(kept.options, storage_class=None))
    assert (await world.check(object=NO_STORE)).state is State.SYNCED
    assert world.calls.calls == ["copy"]


async def test_a_lost_answer_is_resolved_by_the_next_check() -> None:
    world = Rewrites()
    await world.made()
    copy = world.calls.copy_object

    async def lost(*given: Any, **more: Any) -> StoredObject:
        await copy(*given, **more)
        raise asyncio.CancelledError

    world.calls.copy_object = lost  # type: ignore[method-assign]
    with pytest.raises(asyncio.CancelledError):
        await world.check(object=NO_STORE)
    assert await world.unfinished() == 1
    world.calls.copy_object = copy  # type: ignore[method-assign]
    assert (await world.check(object=NO_STORE)).state is State.SYNCED
    assert (world.calls.calls, await world.unfinished()) == (["copy"], 0)


async def test_options_that_changed_again_after_a_lost_answer_are_written() -> None:
    world = Rewrites()
    await world.made()
    copy = world.calls.copy_object

    async def lost(*given: Any, **more: Any) -> StoredObject:
        await copy(*given, **more)
        raise asyncio.CancelledError

    world.calls.copy_object = lost  # type: ignore[method-assign]
    with pytest.raises(asyncio.CancelledError):
        await world.check(object=NO_STORE)
    world.calls.copy_object = copy  # type: ignore[method-assign]
    assert (await world.check(object=ObjectOptions(cache_control="max-age=2"))).state is State.SYNCED
    assert (world.calls.calls, world.options.cache_control) == (["copy", "copy"], "max-age=2")


async def test_an_unknown_outcome_is_settled_by_a_head() -> None:
    world = Rewrites()
    await world.made()
    copy = world.calls.copy_object

    async def unanswered(*given: Any, **more: Any) -> StoredObject:
        await copy(*given, **more)
        raise OutcomeUnknown("no answer")

    world.calls.copy_object = unanswered  # type: ignore[method-assign]
    assert (await world.check(object=NO_STORE)).state is State.SYNCED
    assert world.calls.calls == ["copy"]


async def test_demands_on_the_source_do_not_stop_a_rewrite() -> None:
    world = Rewrites()
    sha256 = hashlib.sha256(world.origin.content or b"").hexdigest()
    demands = SourceRequirements(content_type="text/of-source", checksum=DeclaredSum(sha256=sha256))
    await world.made(requires=demands)
    assert (await world.check(requires=demands, object=NO_STORE)).state is State.SYNCED
    assert world.calls.calls == ["copy"]


async def test_what_may_not_be_overwritten_is_not_rewritten() -> None:
    world = Rewrites()
    await world.made(overwrite=Overwrite.NEVER)
    outcome = await world.check(overwrite=Overwrite.NEVER, object=NO_STORE)
    assert (outcome.reason, world.calls.calls) == (Reason.CONFLICT, [])
    assert (await world.check(overwrite=Overwrite.OWNED, object=NO_STORE)).state is State.SYNCED
    assert world.calls.calls == ["copy"]


async def test_no_more_than_sixteen_objects_are_rewritten_at_a_time() -> None:
    world = Rewrites()
    items = [replace(world.item, id=f"{n:016x}", destination=replace(AT, key=f"k{n}")) for n in range(40)]
    await asyncio.gather(*(world.reconciler.reconcile(one) for one in items))
    running = most = 0
    copy = world.calls.copy_object

    async def slow(*given: Any, **more: Any) -> StoredObject:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        running -= 1
        return await copy(*given, **more)

    world.calls.copy_object = slow  # type: ignore[method-assign]
    object.__setattr__(world.reconciler.transfers, "slots", TransferSlots(100))
    changed = [replace(one, options=replace(one.options, object=NO_STORE)) for one in items]
    await asyncio.gather(*(world.reconciler.reconcile(one) for one in changed))
    assert (most, world.calls.calls.count("copy")) == (16, 40)
