"""Puts of new items without a HEAD, because a listing lacks the key: what follows from 412, 400 and 501."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from mirrord.errors import ConditionRefused, PreconditionFailed, Reason, StoreRefused, StoreUnavailable
from mirrord.events import ItemBlocked, ItemUnchanged, TransferCompleted, TransferFailed, TransferStarted
from mirrord.model import (
    META_VALIDATOR,
    Destination,
    Drift,
    ObjectOptions,
    Outcome,
    Overwrite,
    ProviderName,
    State,
    StoredObject,
)
from mirrord.planning.decisions.describe import validator
from mirrord.planning.decisions.listed import MOST_IN_VAIN, MOST_UNSEEN, Verdict
from mirrord.planning.timing.breaker import RULE, SUSPECTS
from mirrord.providers import profile
from mirrord.reconcile.transfer_slots import TransferSlots
from mirrord.reconcile.transfers import Transfers
from mirrord.testing import ManualClock, MemorySource, MemoryStore
from tests.support.item_world import AT, World

SURE, UNSURE = profile(ProviderName.EMBEDDED), profile(ProviderName.SEAWEEDFS)


class CountingStore(MemoryStore):
    """Counts HEADs and puts; `refuses` the condition with this error, or every put if `always`."""

    refuses: Exception | None = None
    always = False

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.heads = 0
        self.order: list[str] = []
        self.puts: list[bool] = []
        """Of each put, whether it was conditional."""

    async def head_object(self, at: Destination) -> StoredObject | None:
        self.heads += 1
        self.order.append("head")
        return await super().head_object(at)

    async def put_object(self, *args: Any, if_none_match: bool = False, **named: Any) -> StoredObject:
        self.puts.append(if_none_match)
        self.order.append("put")
        if self.refuses is not None and (if_none_match or self.always):
            raise self.refuses if if_none_match else StoreRefused("400")
        return await super().put_object(*args, if_none_match=if_none_match, **named)


class ListedWorld(World):
    """A world in which a listing lacks every key. `check_listed` checks one item there."""

    shows = Verdict.ABSENT
    listed_now = False
    listed_etag: str | None = None

    def __init__(self, provider: Any = SURE, **fields: Any) -> None:
        self.counting = CountingStore(provider)
        super().__init__(store=self.counting, **fields)

        self.reconciler = replace(self.reconciler, listings=self)

    async def verdict(self, item: object, record: object) -> Verdict:
        return self.shows

    def answered_since(self, item: object, moment: float) -> bool:
        return self.listed_now

    def shown_etag(self, item: object, stored: object, record: object) -> str | None:
        return self.listed_etag

    async def appears(self, content: bytes = b"of another program", **metadata: str) -> None:
        await MemoryStore.put_object(self.store, AT, memoryview(content), ObjectOptions(metadata=metadata))

    @property
    def requests(self) -> tuple[int, list[bool]]:
        return self.counting.heads, self.counting.puts


def blocked(outcome: Outcome) -> bool:
    return (outcome.state, outcome.reason) == (State.BLOCKED, Reason.CONFLICT)


@pytest.mark.parametrize("provider", [SURE, UNSURE])
async def test_a_new_object_costs_one_conditional_put(provider: Any) -> None:
    world = ListedWorld(provider)
    assert (await world.check()).state is State.SYNCED
    assert world.requests == (0, [True])
    assert world.content == world.origin.content


@pytest.mark.parametrize("listed_now", [False, True])
async def test_a_listing_is_an_answer_of_the_store_only_if_it_was_made_during_the_check(
    caplog: pytest.LogCaptureFixture, *, listed_now: bool
) -> None:
    world = ListedWorld()
    await world.check()
    world.shows, world.listed_now = Verdict.AS_RECORDED, listed_now
    breakers, now = world.reconciler.breakers, world.reconciler.clock.monotonic()
    for number in range(SUSPECTS):
        other = replace(world.item, id=str(number))
        breakers.failed(other, StoreUnavailable("refused"), now, begun=False, fresh=True)
    assert isinstance(world.reconciler.clock, ManualClock)
    await world.reconciler.clock.advance(RULE.cap)
    await world.check()
    assert [event.store_answered for event in world.events if isinstance(event, ItemUnchanged)] == [listed_now]
    assert ("answers again" in caplog.text) == listed_now


@pytest.mark.parametrize(
    ("provider", "size", "requests"),
    [(SURE, MOST_IN_VAIN, (0, [True])), (SURE, MOST_IN_VAIN + 1, (1, [False])), (UNSURE, 1, (0, [True]))],
)
async def test_a_small_file_that_just_appeared_needs_no_head(
    provider: Any, size: int, requests: tuple[int, list[bool]]
) -> None:
    world = ListedWorld(provider, origin=MemorySource(b"x" * size))
    world.shows = Verdict.PROBABLY_ABSENT
    assert (await world.check()).state is State.SYNCED
    assert world.requests == requests


@pytest.mark.parametrize("verdict", [Verdict.ABSENT, Verdict.PROBABLY_ABSENT])
async def test_an_object_that_appeared_is_overwritten_after_a_head(verdict: Verdict) -> None:
    world = ListedWorld()
    world.shows = verdict
    await world.appears()
    assert (await world.check()).state is State.SYNCED
    assert world.content == world.origin.content
    assert world.counting.puts == [True, False]
    assert world.counting.heads == 2  # one resolves the 412, one decides
    assert world.event_types() == [TransferStarted, TransferFailed, TransferStarted, TransferCompleted]
    assert await world.unfinished() == 0


@pytest.mark.parametrize("verdict", [Verdict.ABSENT, Verdict.PROBABLY_ABSENT])
async def test_an_object_that_already_holds_the_revision_is_adopted(verdict: Verdict) -> None:
    world = ListedWorld()
    world.shows = verdict
    observed = await world.origin.probe()
    assert observed is not None
    ours = validator(observed.revision)
    assert ours is not None
    await world.appears(world.origin.content, **{META_VALIDATOR: ours})
    outcome = await world.check()
    assert (outcome.state, outcome.adopted) == (State.SYNCED, True)
    assert world.counting.puts == [True]
    assert world.event_types() == [TransferStarted, TransferFailed, ItemUnchanged]
    assert await world.unfinished() == 0


@pytest.mark.parametrize("overwrite", [Overwrite.OWNED, Overwrite.NEVER])
@pytest.mark.parametrize(("provider", "puts"), [(SURE, [True]), (UNSURE, [])])
async def test_a_protected_object_that_appeared_is_a_conflict(
    overwrite: Overwrite, provider: Any, puts: list[bool]
) -> None:
    world = ListedWorld(provider)
    await world.appears()
    assert blocked(await world.check(overwrite=overwrite))
    assert world.content == b"of another program"
    assert world.counting.puts == puts
    assert world.event_types()[-1] is ItemBlocked
    assert await world.unfinished() == 0


@pytest.mark.parametrize("length", [MOST_UNSEEN + 1, None])
async def test_a_large_object_needs_a_head_first(length: int | None) -> None:
    source = MemorySource(b"x" * (MOST_UNSEEN + 1), ranges=False, claims=lambda _: length)
    world = ListedWorld(origin=source)
    await world.appears(b"of another program")
    assert (await world.check()).state is State.SYNCED
    assert world.counting.puts == []  # in parts, without condition
    assert world.counting.heads >= 1


REFUSED = ConditionRefused("PutObject: NotImplemented", answered=True)


@pytest.mark.parametrize("verdict", [Verdict.ABSENT, Verdict.PROBABLY_ABSENT])
@pytest.mark.parametrize("overwrite", Overwrite)
async def test_a_store_without_conditions_is_remembered(overwrite: Overwrite, verdict: Verdict) -> None:
    world = ListedWorld()
    world.shows = verdict
    world.counting.refuses = REFUSED
    assert (await world.check(overwrite=overwrite)).state is State.SYNCED
    assert world.requests == (1, [True, False])
    at = replace(AT, key="other")
    world.item = replace(world.item, id=at.item_id, destination=at)
    assert (await world.check(overwrite=overwrite)).state is State.SYNCED
    assert world.requests == (2, [True, False, False])


@pytest.mark.parametrize("overwrite", Overwrite)
async def test_a_copy_that_waited_while_its_store_refused_conditions_gets_a_head(overwrite: Overwrite) -> None:
    """Another item's write was refused between this item's check and its own write."""
    world = ListedWorld()
    await world.appears()
    transfers = world.reconciler.transfers
    assert isinstance(transfers, Transfers)
    transfers = replace(transfers, slots=TransferSlots(0))
    world.reconciler = replace(world.reconciler, transfers=transfers)
    check = asyncio.create_task(world.check(overwrite=overwrite))
    await world.reconciler.clock.run_ready()  # type: ignore[attr-defined]
    assert world.requests == (0, [])
    with transfers.refused_conditions.tried_without(AT.endpoint):
        transfers.slots.give()
    outcome = await check
    assert world.counting.order[:1] == ["head"]
    if overwrite is Overwrite.ALWAYS:
        assert world.counting.puts == [False]
    else:
        assert blocked(outcome)
        assert world.content == b"of another program"


async def test_a_write_that_is_refused_after_a_head_ends_the_attempt() -> None:
    """Its key was free a moment ago. Another program writes it, too: neither another HEAD nor another write follows."""
    world = ListedWorld()
    world.shows, world.counting.refuses = Verdict.UNKNOWN, PreconditionFailed("412")
    outcome = await world.check(overwrite=Overwrite.OWNED)
    assert (outcome.state, outcome.reason) == (State.BLOCKED, Reason.CONFLICT)
    assert world.counting.order == ["head", "put", "head"]  # the last resolves the 412
    assert world.event_types() == [TransferStarted, TransferFailed, ItemBlocked]
    assert await world.unfinished() == 0


async def test_owned_and_never_keep_their_protection_at_such_a_store() -> None:
    for overwrite in (Overwrite.OWNED, Overwrite.NEVER):
        world = ListedWorld()
        world.counting.refuses = REFUSED
        await world.appears()
        assert blocked(await world.check(overwrite=overwrite))
        assert world.content == b"of another program"


async def test_a_put_that_fails_without_its_condition_too_says_nothing_about_conditions() -> None:
    world = ListedWorld()
    world.counting.refuses, world.counting.always = REFUSED, True
    outcome = await world.check()
    assert (outcome.state, outcome.reason) == (State.BLOCKED, Reason.STORE_REFUSED)
    world.counting.refuses = None
    assert (await world.check()).state is State.SYNCED
    assert world.counting.puts == [True, False, True]


@pytest.mark.parametrize("overwrite", Overwrite)
async def test_a_changed_source_needs_a_head_before_its_write(overwrite: Overwrite) -> None:
    world = ListedWorld()
    await world.check(overwrite=overwrite)
    world.shows = Verdict.AS_RECORDED
    world.counting.order.clear()
    world.origin.content, world.origin.etag = b"new content", '"2"'
    await world.check(overwrite=overwrite)
    assert world.counting.order[:1] == ["head"]


async def test_an_object_as_recorded_needs_no_head_until_it_must_be_written() -> None:
    world = ListedWorld()
    await world.check()
    world.shows, world.counting.heads = Verdict.AS_RECORDED, 0
    assert (await world.check()).state is State.SYNCED
    assert world.counting.heads == 0
    await world.appears()
    world.origin.content, world.origin.etag = b"new content", '"2"'
    assert (await world.check(overwrite=Overwrite.OWNED)).reason is Reason.CONFLICT
    assert world.counting.heads == 1
    assert world.content == b"of another program"


@pytest.mark.parametrize("verdict", [Verdict.ABSENT, Verdict.OTHER, Verdict.UNKNOWN])
async def test_no_other_verdict_decides_about_a_recorded_object(verdict: Verdict) -> None:
    world = ListedWorld()
    await world.check()
    world.shows, world.counting.heads = verdict, 0
    assert (await world.check()).state is State.SYNCED
    assert world.requests == (1, [True])
    assert world.event_types() == [ItemUnchanged]


async def test_the_etag_of_listings_is_recorded_when_a_head_agrees() -> None:
    world = ListedWorld()
    await world.check()
    world.shows, world.listed_etag = Verdict.OTHER, '"of listings"'
    assert (await world.check()).state is State.SYNCED
    record = await world.journal.record(AT.item_id)
    assert record is not None
    assert record.object.listed_etag == '"of listings"'
    await world.appears()  # replaced by another program: no HEAD agrees
    world.listed_etag = '"of the other"'
    await world.check(drift=Drift.REPORT)
    record = await world.journal.record(AT.item_id)
    assert record is not None
    assert record.object.listed_etag == '"of listings"'
    await world.check()  # written again
    record = await world.journal.record(AT.item_id)
    assert record is not None
    assert record.object.listed_etag is None
