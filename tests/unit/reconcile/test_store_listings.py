"""Which listings are made, how long they count, and what follows from a bad one. Fakes and a clock set by hand."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace

import pytest

from mirrord.declared import FolderSpec, FolderTarget
from mirrord.errors import BucketMissing, StoreDenied, StoreError, StoreRefused, StoreUnavailable
from mirrord.model import Destination, File, Item, ListedObject, Record, Revision, State, StoredObject, origin_at
from mirrord.planning.decisions.listed import GOOD_FOR, Verdict
from mirrord.reconcile.store_listings import NO_ANSWER_FOR, StoreListings
from mirrord.testing import ManualClock, MemoryJournal, MemoryStore
from tests.support.options import make_options
from tests.support.records import make_record

FOLDER = FolderSpec(
    entry="folder", path="/f", target=FolderTarget(store="s", endpoint="http://s", bucket="b", key="in/{path}")
)


class ListedStore(MemoryStore):
    """Counts the pages that it gives. `fault`: raised after so many of them."""

    pages = 0
    listings = 0
    fault: Exception | None = None
    after = 0
    hangs = False
    clock: ManualClock | None = None
    lasts = 0.0
    """Seconds for each page, by `clock`."""

    async def list_objects(self, bucket: str, prefix: str) -> AsyncGenerator[Sequence[ListedObject]]:
        self.listings += 1
        await asyncio.sleep(3600 if self.hangs else 0)
        number = 0
        async for page in super().list_objects(bucket, prefix):
            if self.fault is not None and number == self.after:
                raise self.fault
            if self.clock is not None:
                await self.clock.sleep(self.lasts)
            self.pages += 1
            number += 1
            yield page
        if self.fault is not None:
            raise self.fault


@dataclass
class Listed:
    """`count` items, their objects in a store, their records in a journal."""

    count: int
    ticks: bool = False
    page_deadline: float = 5.0
    store: ListedStore = field(default_factory=ListedStore)
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    clock: ManualClock = field(default_factory=ManualClock)
    differing: list[str] = field(default_factory=list)

    async def prepared(self) -> "Listed":
        await self.store.ensure_bucket("b")
        records = [await self.stored(number) for number in range(self.count)]
        await self.journal.save_all(records)

        async def store_at(at: Destination) -> MemoryStore:
            assert at.endpoint == "http://s"
            return self.store

        self.listings = StoreListings(
            self.journal,
            store_at,
            self.clock,
            differing=self.differing.extend if self.ticks else None,
            page_deadline=self.page_deadline,
        )
        await self.listings.replace(map(self.item, range(self.count)), [FOLDER])
        return self

    def item(self, number: int, every: float | None = 3600.0, **more: object) -> Item:
        at = Destination("s", "http://s", "b", f"data/{number}")
        options = make_options(every=every, **more)
        return Item(id=at.item_id, entry="e", origin=origin_at("http://x/y"), destination=at, options=options)

    async def stored(self, number: int) -> Record:
        item = self.item(number)
        put = await self.store.put_object(item.destination, memoryview(b"x"), make_options().object)
        return make_record(
            item_id=item.id,
            entry="e",
            source="x",
            destination=item.destination,
            state=State.SYNCED,
            revision=Revision(address="a"),
            etag=put.etag,
            size=1,
            synced_at=self.clock.now() - 1,
        )

    async def verdict(self, number: int, every: float | None = 3600.0) -> Verdict:
        item = self.item(number, every)
        return await self.listings.verdict(item, await self.journal.record(item.id))

    def forget(self, number: int) -> None:
        del self.store.buckets["b"][f"data/{number}"]


async def test_one_listing_answers_for_all_items() -> None:
    listed = await Listed(2_500).prepared()
    listed.forget(7)
    found = await asyncio.gather(*(listed.verdict(number) for number in range(2_500)))
    assert [number for number, one in enumerate(found) if one is not Verdict.AS_RECORDED] == [7]
    assert found[7] is Verdict.ABSENT
    assert await listed.verdict(10_000) is Verdict.ABSENT
    assert listed.store.pages == 3


async def test_few_items_are_not_listed() -> None:
    listed = await Listed(12).prepared()
    assert await listed.verdict(0) is Verdict.UNKNOWN
    assert listed.store.pages == 0


async def test_a_listing_counts_for_ten_minutes() -> None:
    listed = await Listed(100).prepared()
    assert await listed.verdict(1) is Verdict.AS_RECORDED
    await listed.clock.advance(GOOD_FOR - 1)
    assert await listed.verdict(2) is Verdict.AS_RECORDED
    await listed.clock.advance(1)
    assert await listed.verdict(3) is Verdict.AS_RECORDED
    assert listed.store.pages == 2


async def test_the_last_items_of_a_long_pass_get_heads() -> None:
    listed = await Listed(100).prepared()
    for number in range(90):
        await listed.verdict(number)
    await listed.clock.advance(GOOD_FOR)
    assert await listed.verdict(95) is Verdict.UNKNOWN
    assert listed.store.pages == 1


async def test_in_a_running_daemon_a_prefix_is_listed_once_per_period() -> None:
    listed = await Listed(3_000, ticks=True).prepared()
    for _ in range(4):  # each quarter of an hour, a quarter of the items
        for number in range(0, 3_000, 4):
            assert await listed.verdict(number) is Verdict.AS_RECORDED
        await listed.clock.advance(900)
    assert listed.store.pages == 3
    assert await listed.verdict(1) is Verdict.AS_RECORDED
    assert listed.store.pages == 6


async def test_a_running_daemon_checks_the_items_whose_objects_differ_now() -> None:
    listed = await Listed(1_200, ticks=True).prepared()
    new = listed.item(5_000)
    await listed.listings.replace([*map(listed.item, range(1_200)), new], [FOLDER])
    listed.forget(7)
    kept = listed.store.buckets["b"]["data/8"]
    listed.store.buckets["b"]["data/8"] = replace(kept, stored=replace(kept.stored, etag='"other"'))
    assert await listed.verdict(1) is Verdict.AS_RECORDED
    assert sorted(listed.differing) == sorted(listed.item(number).id for number in (7, 8))


async def test_an_item_that_is_checked_more_often_than_the_others_gets_heads() -> None:
    listed = await Listed(1_000, ticks=True).prepared()
    often = listed.item(0, every=60.0)
    await listed.listings.replace([often, *map(listed.item, range(1, 1_000))], [FOLDER])
    assert await listed.verdict(1) is Verdict.AS_RECORDED
    found = []
    for _ in range(5):
        found.append(await listed.verdict(0, every=60.0))
        await listed.clock.advance(60)
    assert found == [Verdict.AS_RECORDED] + [Verdict.UNKNOWN] * 4
    assert listed.store.pages == 1


async def test_a_new_item_of_a_running_daemon_causes_no_long_listing() -> None:
    listed = await Listed(3_000, ticks=True).prepared()
    for number in range(3_000):
        await listed.verdict(number)
    await listed.clock.advance(GOOD_FOR)
    await listed.listings.replace(map(listed.item, range(3_001)), [FOLDER])
    assert await listed.verdict(3_000) is Verdict.UNKNOWN
    assert await listed.verdict(1) is Verdict.AS_RECORDED
    assert listed.store.pages == 3


async def test_an_object_written_after_the_listing_began_needs_a_head() -> None:
    listed = await Listed(100).prepared()
    assert await listed.verdict(1) is Verdict.AS_RECORDED
    item = listed.item(1)
    record = await listed.journal.record(item.id)
    assert record is not None
    later = replace(record, object=replace(record.object, synced_at=listed.clock.now() + 1))
    assert await listed.listings.verdict(item, later) is Verdict.UNKNOWN


@pytest.mark.parametrize(("ago", "verdict"), [(0.0, Verdict.AS_RECORDED), (-1.0, Verdict.UNKNOWN)])
async def test_an_object_written_in_the_future_needs_a_head(ago: float, verdict: Verdict) -> None:
    """This machine's clock was wrong when it was written, or the store's, whose time an adopted object has. A
    running program must not take it for one that it wrote just now, until that time comes."""
    listed = await Listed(100, ticks=True).prepared()
    item = listed.item(1)
    listed.forget(1)
    record = await listed.journal.record(item.id)
    assert record is not None
    later = replace(record, object=replace(record.object, synced_at=listed.clock.now() - ago))
    assert await listed.listings.verdict(item, later) is verdict


@pytest.mark.parametrize(
    ("modified", "written", "learned"),
    [(-1, -1, True), (-1, None, True), (0, -1, False), (-1, 0, False), (None, -1, False)],
)
async def test_an_etag_of_a_listing_is_learned_only_of_an_older_object(
    modified: float | None, written: float | None, *, learned: bool
) -> None:
    """Another program had replaced the object when it was listed; then it was written again, with the same bytes."""
    listed = await Listed(100).prepared()
    for number in (1, 2):
        kept = listed.store.buckets["b"][f"data/{number}"]
        listed.store.buckets["b"][f"data/{number}"] = replace(
            kept, stored=replace(kept.stored, etag=f'"other{number}"')
        )
    began, item = listed.clock.now(), listed.item(1)
    assert await listed.verdict(1) is Verdict.OTHER
    record = await listed.journal.record(item.id)
    assert record is not None
    stored = StoredObject(size=1, etag="e", last_modified=None if modified is None else began + modified)
    record = replace(record, object=replace(record.object, synced_at=None if written is None else began + written))
    assert listed.listings.shown_etag(item, stored, record) == ('"other1"' if learned else None)


async def test_items_with_cron_share_a_listing_each_time() -> None:
    listed = await Listed(100, ticks=True).prepared()
    items = [listed.item(number, every=None, cron="@daily") for number in range(100)]
    await listed.listings.replace(items, [FOLDER])
    for day in range(1, 4):
        found = [await listed.listings.verdict(item, await listed.journal.record(item.id)) for item in items]
        assert found == [Verdict.AS_RECORDED] * 100
        assert listed.store.pages == day
        await listed.clock.advance(86_400)


async def test_items_are_not_checked_before_the_time_of_their_cron_nor_once_more_after_never() -> None:
    listed = await Listed(100, ticks=True).prepared()
    never, cron = listed.item(1, every=None), listed.item(2, every=None, cron="@daily")
    others = [listed.item(number) for number in range(3, 100)]
    await listed.listings.replace([never, cron, *others], [FOLDER])
    for number in (1, 2, 3):
        listed.forget(number)
    assert await listed.verdict(4) is Verdict.AS_RECORDED
    assert listed.differing == [listed.item(3).id]


async def test_a_check_that_a_user_asked_for_needs_a_head_once() -> None:
    listed = await Listed(100).prepared()
    listed.listings.doubt(listed.item(1).id)
    assert [await listed.verdict(1) for _ in range(2)] == [Verdict.UNKNOWN, Verdict.AS_RECORDED]


@pytest.mark.parametrize("after", [0, 1, 3])
async def test_a_listing_that_fails_proves_no_absence(after: int) -> None:
    listed = await Listed(2_500).prepared()
    listed.store.fault, listed.store.after = StoreUnavailable("503", answered=True), after
    found = [await listed.verdict(number) for number in range(2_500)]
    assert found.count(Verdict.AS_RECORDED) == min(1_000 * after, 2_500)
    assert await listed.verdict(10_000) is Verdict.UNKNOWN
    assert listed.store.pages == after


async def test_checks_that_waited_for_a_listing_without_an_answer_fail_and_send_no_heads() -> None:
    listed = await Listed(2_500).prepared()
    listed.store.fault = StoreUnavailable("connection refused")
    found = await asyncio.gather(*map(listed.verdict, range(4)), return_exceptions=True)
    assert [type(one) for one in found] == [StoreUnavailable] * 4
    assert listed.store.listings == 1
    assert await listed.verdict(1) is Verdict.UNKNOWN, "the store may refuse to list and answer HEADs"
    await listed.clock.advance(NO_ANSWER_FOR)
    listed.store.fault = None
    assert await listed.verdict(1) is Verdict.AS_RECORDED
    assert listed.store.listings == 2


async def test_the_files_of_a_folder_are_unknown_if_the_store_does_not_answer() -> None:
    listed = await Listed(0).prepared()
    listed.store.fault = StoreUnavailable("connection refused")
    listed.listings.expect(FOLDER, 256, 0)
    assert await listed.listings.verdicts(FOLDER, ["0" * 16] * 2) == [Verdict.UNKNOWN] * 2
    assert listed.store.listings == 1


async def test_the_store_answered_when_a_page_came() -> None:
    listed = await Listed(100).prepared()
    listed.store.fault = StoreUnavailable("connection refused")
    one, elsewhere = listed.item(1), replace(listed.item(1), destination=Destination("s", "http://s", "b", "else"))
    with pytest.raises(StoreUnavailable):
        await listed.verdict(1)
    assert not listed.listings.answered_since(one, 0.0)
    await listed.clock.advance(NO_ANSWER_FOR)
    listed.store.fault, began = None, listed.clock.monotonic()
    await listed.verdict(1)
    assert listed.listings.answered_since(listed.item(2), began)
    assert not listed.listings.answered_since(elsewhere, began)
    await listed.clock.advance(1)
    await listed.verdict(1)
    assert not listed.listings.answered_since(one, listed.clock.monotonic())


async def test_a_listing_that_hangs_ends_at_its_deadline() -> None:
    listed = await Listed(100, page_deadline=0.01).prepared()
    listed.store.hangs = True
    assert await listed.verdict(1) is Verdict.UNKNOWN


async def test_an_item_does_not_wait_long_for_the_listing_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mirrord.reconcile.store_listings.WAIT", 0.01)
    listed = await Listed(100).prepared()
    listed.store.hangs = True
    first = asyncio.create_task(listed.verdict(1))
    await listed.clock.run_ready()
    assert await listed.verdict(2) is Verdict.UNKNOWN
    first.cancel()


async def test_a_listing_that_lasts_longer_than_it_counts_is_given_up() -> None:
    listed = await Listed(2_500).prepared()
    listed.store.lasts = GOOD_FOR / 2 + 1
    listed.store.clock = listed.clock
    asked = asyncio.create_task(listed.verdict(10_000))
    await listed.clock.advance(5 * GOOD_FOR)
    assert await asked is Verdict.UNKNOWN
    assert listed.store.pages == 2


@pytest.mark.parametrize(
    ("fault", "level"),
    [
        (StoreDenied("AccessDenied"), "WARNING"),
        (StoreRefused("405 MethodNotAllowed"), "INFO"),
        (StoreRefused("501 NotImplemented"), "INFO"),
        (StoreUnavailable("503", answered=True), "INFO"),
        (BucketMissing("404"), "INFO"),
    ],
    ids=str,
)
async def test_a_refused_listing_is_logged_once(
    caplog: pytest.LogCaptureFixture, fault: StoreError, level: str
) -> None:
    listed = await Listed(100, ticks=True).prepared()
    listed.store.fault = fault
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            assert [await listed.verdict(number) for number in range(3)] == [Verdict.UNKNOWN] * 3
            await listed.clock.advance(GOOD_FOR)
    assert [record.levelname for record in caplog.records] == [level]


async def test_a_prefix_full_of_other_objects_is_given_up() -> None:
    listed = await Listed(100).prepared()
    kept = next(iter(listed.store.buckets["b"].values()))
    listed.store.buckets["b"] |= {f"data/-{number}": kept for number in range(20_000)}
    assert await listed.verdict(1) is Verdict.UNKNOWN
    assert listed.store.pages == 10  # 9 pages cost 108 HEADs; the tenth was on its way
    await listed.clock.advance(GOOD_FOR)
    assert await listed.verdict(2) is Verdict.UNKNOWN
    assert listed.store.pages == 10


async def test_the_files_of_a_folder_are_expected() -> None:
    listed = await Listed(0).prepared()
    at = Destination("s", "http://s", "b", "in/a")
    item = Item(id=at.item_id, entry="folder", origin=File("/f", "a"), destination=at)
    assert await listed.listings.verdict(item, None) is Verdict.UNKNOWN
    listed.listings.expect(FOLDER, 5, 0)
    assert await listed.listings.verdicts(FOLDER, [at.item_id]) == [Verdict.UNKNOWN]
    listed.listings.expect(FOLDER, 256, 100_000)
    assert await listed.listings.verdict(item, None) is Verdict.UNKNOWN
    listed = await Listed(0).prepared()
    listed.listings.expect(FOLDER, 256, 0)
    assert await listed.listings.verdict(item, None) is Verdict.ABSENT
    assert await listed.listings.verdicts(FOLDER, [at.item_id] * 2) == [Verdict.ABSENT] * 2
    assert listed.store.pages == 1


async def test_a_cancelled_item_leaves_the_listing_to_the_next() -> None:
    listed = await Listed(100).prepared()
    listed.store.hangs = True
    first = asyncio.create_task(listed.verdict(1))
    second = asyncio.create_task(listed.verdict(2))
    await listed.clock.run_ready()
    first.cancel()
    listed.store.hangs = False
    assert await second is Verdict.AS_RECORDED


def folder_item(number: int) -> Item:
    at = Destination("s", "http://s", "b", f"in/{number}")
    origin = File("/f", str(number))
    return Item(id=at.item_id, entry="folder", origin=origin, destination=at, options=make_options())


async def test_files_that_arrive_together_share_one_listing() -> None:
    listed = await Listed(0, ticks=True).prepared()
    for number in range(13):
        listed.listings.arrive(folder_item(number), just_appeared=True)
    found = [await listed.listings.verdict(folder_item(number), None) for number in range(13)]
    assert found == [Verdict.ABSENT] * 13
    assert listed.store.pages == 1
    listed.listings.arrive(folder_item(13), just_appeared=True)
    assert await listed.listings.verdict(folder_item(13), None) is Verdict.ABSENT, "the listing still counts"


@pytest.mark.parametrize(("just_appeared", "verdict"), [(True, Verdict.PROBABLY_ABSENT), (False, Verdict.UNKNOWN)])
async def test_a_file_that_arrives_alone_is_not_listed(just_appeared: bool, verdict: Verdict) -> None:
    listed = await Listed(0, ticks=True).prepared()
    item = folder_item(0)
    listed.listings.arrive(item, just_appeared=just_appeared)
    assert await listed.listings.verdict(item, None) is verdict
    assert await listed.listings.verdict(item, None) is Verdict.UNKNOWN, "its next attempt needs a HEAD"
    assert listed.store.pages == 0


async def test_a_file_that_a_user_asks_for_gets_a_head_although_it_just_appeared() -> None:
    listed = await Listed(0, ticks=True).prepared()
    item = folder_item(0)
    listed.listings.arrive(item, just_appeared=True)
    listed.listings.doubt(item.id)
    assert await listed.listings.verdict(item, None) is Verdict.UNKNOWN


async def test_a_file_of_a_folder_that_left_is_not_counted() -> None:
    listed = await Listed(0, ticks=True).prepared()
    await listed.listings.replace([], [])
    listed.listings.arrive(folder_item(0), just_appeared=True)
    assert await listed.listings.verdict(folder_item(0), None) is Verdict.UNKNOWN


async def test_where_listings_are_refused_a_file_that_just_appeared_still_needs_no_head() -> None:
    listed = await Listed(0, ticks=True).prepared()
    listed.store.fault = StoreDenied("403")
    for number in range(13):
        listed.listings.arrive(folder_item(number), just_appeared=number > 0)
    found = [await listed.listings.verdict(folder_item(number), None) for number in range(13)]
    assert found == [Verdict.UNKNOWN, *[Verdict.PROBABLY_ABSENT] * 12]
