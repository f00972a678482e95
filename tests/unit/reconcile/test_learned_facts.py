"""What stores do otherwise than asked is learned from their answers, once, and kept in the journal."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import pytest

from mirrord.model import (
    Destination,
    Item,
    ObjectDetails,
    ObjectOptions,
    Overwrite,
    ProviderName,
    TransferKind,
    origin_at,
)
from mirrord.ports.learned import KEPT_FOR, learned_texts
from mirrord.providers import profile
from mirrord.reconcile.learned_facts import LearnedFacts
from mirrord.testing import MemoryJournal, MemoryStore
from tests.support.options import make_options

AT = Destination("s", "http://store", "bucket", "k")
WANTED = ObjectOptions(tags={"a": "b"}, storage_class="COLD", acl="public-read")


class Server(MemoryStore):
    """Counts HEADs; `tags` and `storage_class` are those that it keeps."""

    server = "x/1"
    heads = 0
    gone = False
    tags: Mapping[str, str] = MappingProxyType({})
    storage_class: str | None = None

    async def inspect_object(self, at: Destination, part: int | None = None) -> ObjectDetails | None:
        self.heads += 1
        found = await super().inspect_object(at, part)
        if found is None or self.gone:
            return None
        return replace(found, tags=len(self.tags), storage_class=self.storage_class)

    async def get_tags(self, at: Destination) -> Mapping[str, str]:
        return self.tags


@dataclass
class World:
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    store: Server = field(default_factory=lambda: Server(profile(ProviderName.AWS)))
    now: float = 1_000.0

    def __post_init__(self) -> None:
        self.facts = LearnedFacts(self.journal, lambda: self.now)

    def later(self) -> None:
        """Another process, with the same journal."""
        self.facts = LearnedFacts(self.journal, lambda: self.now)

    async def copy(
        self,
        options: ObjectOptions = WANTED,
        kind: TransferKind = TransferKind.PUT,
        overwrite: Overwrite = Overwrite.ALWAYS,
    ) -> None:
        self.store.buckets.setdefault("bucket", {})
        await self.store.put_object(AT, memoryview(b"x"), ObjectOptions())
        item = Item(
            id="1",
            entry="e",
            origin=origin_at("http://h/x"),
            destination=AT,
            options=make_options(object=options, overwrite=overwrite),
        )
        await self.facts.recall()
        await self.facts.after_copy(item, self.store, kind)

    async def shown(self) -> tuple[str, ...]:
        return await learned_texts(self.journal, self.now)


async def test_options_that_a_store_ignores_are_noticed_by_one_head_and_shown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World(store=Server(profile(ProviderName.MINIO)))
    await world.copy()
    assert await world.shown() == (
        "store 's' ignores object.acl (by put, seen at s3://bucket/k)",
        "store 's' shows the storage class STANDARD where COLD was asked (by put, seen at s3://bucket/k)",
        "store 's' drops object.tags (by put, seen at s3://bucket/k)",
    )
    assert world.store.heads == 1
    assert len(caplog.records) == 3
    await world.copy()
    world.later()
    await world.copy()
    assert (world.store.heads, len(caplog.records)) == (1, 3)


async def test_options_that_a_store_keeps_are_not_looked_at_again() -> None:
    world = World()
    world.store.tags, world.store.storage_class = dict(WANTED.tags), "COLD"
    await world.copy()
    world.later()
    await world.copy()
    assert world.store.heads == 1
    assert await world.shown() == ()


async def test_an_option_that_is_added_later_is_looked_at_alone() -> None:
    world = World()
    await world.copy(ObjectOptions(cache_control="no-store"))
    await world.copy(ObjectOptions(cache_control="no-store", encryption="AES256"))
    assert world.store.heads == 2
    assert [text.partition(" (")[0] for text in await world.shown()] == [
        "store 's' does not keep object.cache_control",
        "store 's' shows no encryption where AES256 was asked",
    ]


async def test_an_object_that_is_gone_teaches_nothing() -> None:
    world = World()
    world.store.gone = True
    await world.copy(replace(WANTED, acl=None))
    world.store.gone = False
    assert await world.shown() == ()
    await world.copy(replace(WANTED, acl=None))
    assert len(await world.shown()) == 2


async def test_each_kind_of_write_is_looked_at() -> None:
    world = World()
    world.store.tags, world.store.storage_class = dict(WANTED.tags), "COLD"
    await world.copy()
    world.store.tags = {}
    await world.copy(kind=TransferKind.MULTIPART)
    assert [text.partition(" (")[2] for text in await world.shown()] == ["by multipart, seen at s3://bucket/k)"]


@pytest.mark.parametrize("change", ["server", "time"])
async def test_a_fact_counts_for_this_server_and_thirty_days(change: str) -> None:
    world = World()
    await world.copy(replace(WANTED, acl=None, storage_class=None))
    assert len(await world.shown()) == 1
    if change == "server":
        world.store.server = "x/2"
    else:
        world.now += KEPT_FOR + 1
        assert await world.shown() == ()
    world.store.tags = dict(WANTED.tags)
    await world.copy(replace(WANTED, acl=None, storage_class=None))
    assert world.store.heads == 2
    assert await world.shown() == ()


async def test_an_object_without_options_costs_nothing() -> None:
    world = World()
    await world.copy(ObjectOptions())
    assert world.store.heads == 0


async def test_a_store_that_refuses_conditions_is_known_to_the_next_process() -> None:
    world = World()
    with world.facts.refused_conditions.tried_without(AT.endpoint):
        await world.copy(ObjectOptions())
    assert "refuses If-None-Match" in (await world.shown())[0]
    world.later()
    await world.facts.recall()
    assert AT.endpoint in world.facts.refused_conditions
    world.store.server = "x/2"
    await world.copy(ObjectOptions())
    assert AT.endpoint not in world.facts.refused_conditions


@pytest.mark.parametrize(
    ("provider", "overwrite", "shown"),
    [
        (ProviderName.GENERIC, Overwrite.NEVER, True),
        (ProviderName.SEAWEEDFS, Overwrite.OWNED, True),
        (ProviderName.GENERIC, Overwrite.ALWAYS, False),
        (ProviderName.AWS, Overwrite.NEVER, False),
    ],
)
async def test_a_store_that_may_ignore_the_condition_is_shown_where_the_condition_counts(
    provider: ProviderName, overwrite: Overwrite, shown: bool
) -> None:
    world = World(store=Server(profile(provider)))
    for _ in range(2):
        await world.copy(ObjectOptions(), overwrite=overwrite)
    text = "store 's' is not known to keep If-None-Match: `overwrite: owned` and `never` rely on a HEAD just before"
    assert [one.startswith(text) for one in await world.shown()] == [True] * shown
    assert world.store.heads == 0


async def test_a_server_with_a_known_fault_is_shown_until_it_is_upgraded() -> None:
    world = World()
    world.store.server = "SeaweedFS 30GB 4.43"
    await world.copy(ObjectOptions())
    (text,) = await world.shown()
    assert text.startswith("store 's' runs SeaweedFS 4.43: an abort that comes after CompleteMultipartUpload destroys")
    world.later()
    await world.copy(ObjectOptions())
    assert await world.shown() == (text,)
    world.store.server = "SeaweedFS 30GB 4.48"
    await world.copy(ObjectOptions())
    assert await world.shown() == ()


async def test_a_store_that_does_not_name_its_server_shows_no_fault() -> None:
    world = World()
    world.store.server = ""
    await world.copy(ObjectOptions())
    assert await world.shown() == ()
