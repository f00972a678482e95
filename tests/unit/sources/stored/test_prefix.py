"""The objects below a prefix as a list: which count, and when the listing is complete."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

import pytest

from mirrord.declared import ListSpec, SourcePrefix
from mirrord.errors import SourceDenied, SourceMissing, SourceUnavailable, StoreDenied, StoreError, StoreUnavailable
from mirrord.model import Destination, Item, ListedObject, ObjectOptions, Options, Revision, S3Object, Schedule
from mirrord.ports import Source
from mirrord.sources.list.reader import ListReading, read_list
from mirrord.sources.stored.prefix import ListedPrefixes, PrefixSource
from mirrord.sources.stored.source import StoredSource
from mirrord.testing import ManualClock, MemoryStore

AT = Destination("source", "http://source", "bucket", "data/")
SPEC = ListSpec(
    entry="e", location=str(AT), to="s3://copy/to/", store="s", endpoint="http://s", prefix=SourcePrefix(AT)
)


class Pages(MemoryStore):
    """`fails` is raised after the first page, or before it with `at_once`. Counts HEADs."""

    def __init__(self) -> None:
        super().__init__()
        self.buckets["bucket"] = {}
        self.fails: StoreError | None = None
        self.at_once = False
        self.heads = 0

    async def put(self, key: str, body: bytes = b"x") -> None:
        await self.put_object(replace(AT, key=key), memoryview(body), ObjectOptions())

    async def list_objects(
        self, bucket: str, prefix: str, *, every_key: bool = False
    ) -> AsyncGenerator[Sequence[ListedObject]]:
        if self.fails and self.at_once:
            raise self.fails
        async for page in super().list_objects(bucket, prefix, every_key=every_key):
            yield page
        if self.fails:
            raise self.fails

    async def inspect_object(self, at, part=None):  # type: ignore[no-untyped-def]
        self.heads += 1
        return await super().inspect_object(at, part)


class Scene:
    def __init__(self, *keys: str) -> None:
        self.store, self.clock, self.keys = Pages(), ManualClock(), keys
        self.listed = ListedPrefixes(self.clock, ticks=True)
        self.items: dict[str, Item] = {}

    async def store_at(self, _: Destination) -> MemoryStore:
        return self.store

    async def read(self, spec: ListSpec = SPEC) -> ListReading:
        for key in self.keys:
            await self.store.put(key, b"" if key.endswith("/") else key.encode())
        assert spec.prefix is not None
        self.items = {}

        def keep(item: Item, *_: object) -> None:
            self.items[item.destination.key] = item

        source = PrefixSource(spec.prefix, self.store_at, self.listed)
        reading = await read_list(spec, source, keep)
        assert reading is not None
        return reading

    def source(self, item: Item) -> Source:
        assert isinstance(item.origin, S3Object)
        return StoredSource(item.origin, self.store_at, fresh=self.listed.shows(item))


async def test_every_object_below_the_prefix_is_an_item() -> None:
    scene = Scene("data/a", "data/d/b c+%20?#", "data/.hidden", "database", "other", "data/", "data/d/")
    reading = await scene.read()
    assert reading.complete
    assert {key: item.origin.address for key, item in scene.items.items()} == {
        "to/a": "s3://bucket/data/a",
        "to/d/b c+%20?#": "s3://bucket/data/d/b c+%20?#",
        "to/.hidden": "s3://bucket/data/.hidden",
    }
    assert all(item.id == item.destination.item_id for item in scene.items.values())


async def test_more_than_one_page_is_read() -> None:
    scene = Scene(*(f"data/{number:04}" for number in range(2_500)))
    assert (await scene.read()).complete
    assert len(scene.items) == 2_500


async def test_patterns_select_objects() -> None:
    scene = Scene("data/a.csv", "data/d/b.csv", "data/d/c.txt", "data/out/e.csv")
    spec = replace(SPEC, prefix=SourcePrefix(AT, include=("*.csv",), exclude=("/out/",)))
    assert (await scene.read(spec)).complete
    assert scene.items.keys() == {"to/a.csv", "to/d/b.csv"}


@pytest.mark.parametrize("key", ["data/a//b", "data/../b", "data//b", "data/./c"])
async def test_because_of_a_key_that_makes_no_object_the_list_is_incomplete(key: str) -> None:
    scene = Scene("data/good", key)
    reading = await scene.read()
    assert not reading.complete
    assert scene.items.keys() == {"to/good"}
    (fault,) = reading.faults
    assert fault.startswith("s3://bucket/data/:")
    assert f"s3://bucket/{key}: the key has" in fault


async def test_an_object_with_bytes_at_a_directory_s_key_is_reported() -> None:
    scene = Scene("data/good")
    await scene.store.put("data/d/", b"bytes")
    assert not (await scene.read()).complete


async def test_an_empty_listing_is_incomplete() -> None:
    (fault,) = (await Scene("other").read()).faults
    assert fault == "s3://bucket/data/ has no rows: nothing leaves because of it"


async def test_a_listing_that_breaks_off_is_incomplete_and_spares_no_head() -> None:
    scene = Scene("data/a")
    scene.store.fails = StoreUnavailable("503")
    reading = await scene.read()
    assert list(reading.faults) == ["s3://bucket/data/ is incomplete: 503"]
    assert not scene.listed.shows(scene.items["to/a"])


async def test_a_listing_that_is_refused_raises_the_error_of_a_source() -> None:
    scene = Scene("data/a")
    scene.store.at_once = True
    for error, raised in ((StoreDenied("403"), SourceDenied), (StoreUnavailable("503"), SourceUnavailable)):
        scene.store.fails = error
        with pytest.raises(raised):
            await scene.read()
    scene.store.fails, scene.keys = None, ()
    scene.store.buckets.clear()
    with pytest.raises(SourceMissing):
        await scene.read()


@pytest.mark.parametrize(
    ("to", "prefix", "message"),
    [("s3://bucket/{name}/", "data/", "would be below the prefix s3://bucket/data/ itself")],
)
async def test_an_object_is_never_below_its_own_prefix(to: str, prefix: str, message: str) -> None:
    scene = Scene(f"{prefix}x/data")
    spec = replace(SPEC, to=to, store="source", endpoint="http://source")
    (fault,) = (await scene.read(spec)).faults
    assert message in fault


async def probed(scene: Scene, key: str, known: Revision | None) -> Revision | None:
    async with scene.source(scene.items[key]) as source:
        observed = await source.probe(known)
    return observed.revision if observed is not None else None


async def test_a_fresh_listing_spares_the_head_of_an_object_that_it_shows_as_recorded() -> None:
    scene = Scene("data/a")
    spec = replace(SPEC, options=Options(schedule=Schedule(every=1000.0)))
    await scene.read(spec)
    known = await probed(scene, "to/a", None)
    assert (known is not None, scene.store.heads) == (True, 1)
    await scene.clock.advance(1400)
    assert (await probed(scene, "to/a", known), scene.store.heads) == (None, 1)
    await scene.clock.advance(200)  # the next listing is late
    assert (await probed(scene, "to/a", known), scene.store.heads) == (None, 2)


async def test_another_etag_in_the_listing_is_another_item_and_needs_a_head() -> None:
    scene = Scene("data/a")
    await scene.read()
    before, known = scene.items["to/a"], await probed(scene, "to/a", None)
    scene.keys = ()
    await scene.store.put("data/a", b"changed")
    await scene.read()
    assert scene.items["to/a"] != before
    assert await probed(scene, "to/a", known) not in (None, known)


async def test_a_revision_of_another_source_is_not_compared_with_the_listing() -> None:
    scene = Scene("data/a")
    await scene.read()
    known = await probed(scene, "to/a", None)
    assert known is not None
    assert await probed(scene, "to/a", replace(known, address="other")) is not None
