"""One followed list: what a reading changes, what an incomplete one keeps, and when it is read again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from mirrord.aio import drain
from mirrord.daemon.followed_list import FILE_EVERY, FollowedList, ListPorts, carried_over
from mirrord.declared import ListSpec
from mirrord.errors import SourceUnavailable
from mirrord.model import FileIdentity, Observed, Options, Schedule
from mirrord.testing import ManualClock, MemorySource, SourceHooks

SPEC = ListSpec(
    entry="e",
    location="https://h/x.txt",
    to="s3://bucket/",
    store="s",
    endpoint="http://s",
    options=Options(schedule=Schedule(every=100.0)),
)
LOCAL = replace(SPEC, location="/l/x.txt")


@dataclass
class FileInMemory(MemorySource):
    mtime: float = 0.0

    @property
    def observed(self) -> Observed:
        found = super().observed
        state = FileIdentity(1, 1, len(self.content or b""), int(self.mtime * 1e9), 0)
        return replace(found, revision=replace(found.revision, file=state))


class Scene:
    def __init__(self, spec: ListSpec = SPEC, source: MemorySource | None = None) -> None:
        self.clock, self.source, self.applied = ManualClock(), source or MemorySource(), 0
        ports = ListPorts(source_of=lambda _: self.source, changed=self.changed, clock=self.clock, chance=lambda: 1.0)
        self.list = FollowedList(spec, ports)
        self.names: list[set[str]] = []
        self.failing = 0

    async def changed(self) -> None:
        if self.failing:
            self.failing -= 1
            raise RuntimeError("not applied")
        self.names.append({item.destination.key for item in self.list.items.values()})

    def publish(self, *lines: str) -> None:
        self.source.content = "".join(f"{line}\n" for line in lines).encode()
        self.source.etag = f'"{hash(lines)}"'

    @property
    def reads(self) -> int:
        return len(self.source.log.known)


@asynccontextmanager
async def followed(scene: Scene) -> AsyncIterator[Scene]:
    task = asyncio.create_task(scene.list.run())
    try:
        await scene.clock.run_ready()
        yield scene
    finally:
        await drain([task])


async def test_a_complete_reading_replaces_the_items_and_keeps_the_equal_ones() -> None:
    scene = Scene()
    scene.publish("a", "b")
    async with followed(scene):
        assert scene.names == [{"a", "b"}]
        assert scene.list.known
        first = dict(scene.list.items)
        scene.publish("b", "c")
        await scene.clock.advance(100)
        assert scene.names == [{"a", "b"}, {"b", "c"}]
        assert [scene.list.items[one] == first[one] for one in scene.list.items.keys() & first.keys()] == [True]
        await scene.clock.advance(100)
        assert (scene.reads, len(scene.names)) == (3, 2)  # unchanged: nothing is applied
        assert scene.source.log.known[-1] is not None


@pytest.mark.parametrize("lines", [("c", "ftp://h/x"), ("c", "c"), ("c", "x" * 70_000)])
async def test_because_of_a_bad_row_nothing_leaves(lines: tuple[str, ...]) -> None:
    scene = Scene()
    scene.publish("a", "b")
    async with followed(scene):
        scene.publish(*lines)
        await scene.clock.advance(100)
        assert scene.names[-1] == {"a", "b", "c"}
        assert not scene.list.known
        status = scene.list.status()
        assert (status.complete, status.items, len(status.faults)) == (False, 3, 1)
        scene.publish("c")
        await scene.clock.advance(100)
        assert scene.names[-1] == {"c"}
        assert scene.list.status().complete


async def test_because_of_an_empty_or_cut_list_nothing_leaves() -> None:
    scene = Scene()
    scene.publish("a", "b")
    async with followed(scene):
        scene.publish()
        await scene.clock.advance(100)
        assert scene.names[-1] == {"a", "b"}

        async def cut(at: int) -> None:
            if at:
                raise SourceUnavailable("cut short")

        scene.publish("c", "d")
        scene.source.step, scene.source.hooks = 3, SourceHooks(on_read=cut)
        await scene.clock.advance(100)
        assert scene.names[-1] == {"a", "b", "c"}  # `d` may be the beginning of a longer name
        scene.source.hooks = SourceHooks()
        await scene.clock.advance(10)
        assert scene.names[-1] == {"c", "d"}


async def test_a_list_that_cannot_be_read_keeps_its_items_and_is_tried_again() -> None:
    scene = Scene()
    scene.publish("a")
    async with followed(scene):
        scene.source.fails = SourceUnavailable("no answer", retry_after=50)
        await scene.clock.advance(100)
        assert scene.list.status().faults == ("no answer",)
        before = scene.reads
        await scene.clock.advance(49)
        assert scene.reads == before  # Retry-After
        scene.source.fails = None
        await scene.clock.advance(10)
        assert scene.reads == before + 1
        assert scene.list.known
        assert scene.list.status().complete
        scene.source.content = None  # 404: permanent, so it is asked at `every`
        await scene.clock.advance(100)
        assert len(scene.list.status().faults) == 1
        assert scene.names == [{"a"}]
        before = scene.reads
        await scene.clock.advance(90)
        assert scene.reads == before


async def test_every_never_and_a_reload() -> None:
    scene = Scene(replace(SPEC, options=Options(schedule=Schedule(every=None))))
    scene.publish("a")
    async with followed(scene):
        scene.publish("b")
        await scene.clock.advance(100_000)
        assert scene.names == [{"a"}]
        scene.list.read_again()
        await scene.clock.run_ready()
        assert scene.names == [{"a"}, {"b"}]


async def test_cron_gives_the_times_of_reading() -> None:
    scene = Scene(replace(SPEC, options=Options(schedule=Schedule(every=None, cron="0 * * * *"))))
    scene.publish("a")
    async with followed(scene):
        before = scene.reads
        await scene.clock.advance(3600 - scene.clock.now() % 3600 - 1)
        assert scene.reads == before
        await scene.clock.advance(1)
        assert scene.reads == before + 1


async def test_what_a_list_shows_at_its_time_under_cron_is_due_with_it() -> None:
    """The next time of the items themselves would be an hour later. A start, and a reload, are no such time."""
    scene = Scene(replace(SPEC, options=Options(schedule=Schedule(every=None, cron="0 * * * *"))))
    scene.publish("a")

    def due() -> list[str]:
        return [scene.list.items[one].destination.key for one in scene.list.take_due()]

    async with followed(scene):
        assert due() == []
        scene.publish("a", "b")
        scene.list.read_again()
        await scene.clock.run_ready()
        assert (due(), scene.names[-1]) == ([], {"a", "b"})
        scene.publish("a", "b", "c")
        await scene.clock.advance(3600 - scene.clock.now() % 3600)
        assert due() == ["c"]
        scene.publish("a", "d")
        scene.source.fails = SourceUnavailable("no")
        await scene.clock.advance(3600)
        scene.source.fails = None
        await scene.clock.advance(10)
        assert (due(), due(), scene.names[-1]) == (["d"], [], {"a", "d"})


async def test_a_suspended_list_is_not_read() -> None:
    scene = Scene(replace(SPEC, options=Options(suspend=True)))
    async with followed(scene):
        await scene.clock.advance(10_000)
        assert scene.reads == 0
        assert not scene.list.known


async def test_a_file_that_may_still_be_written_adds_rows_and_takes_none_away() -> None:
    source = FileInMemory()
    scene = Scene(LOCAL, source)
    source.mtime = scene.clock.now() - 100
    scene.publish("a", "b")
    async with followed(scene):
        assert scene.list.known
        source.mtime = scene.clock.now() + FILE_EVERY - 0.5
        scene.publish("c")
        await scene.clock.advance(FILE_EVERY)
        assert scene.names[-1] == {"a", "b", "c"}
        assert scene.list.status().complete  # no fault is shown
        await scene.clock.advance(FILE_EVERY)
        assert scene.names[-1] == {"c"}


async def test_items_that_could_not_be_applied_are_applied_by_the_next_run() -> None:
    scene = Scene()
    scene.publish("a")
    scene.failing = 1
    with pytest.raises(RuntimeError):
        await scene.list.run()
    async with followed(scene):
        assert scene.names == [{"a"}]


async def test_a_changed_list_keeps_its_items_until_it_is_read() -> None:
    scene = Scene()
    scene.publish("a")
    async with followed(scene):
        pass
    before = scene.list
    assert carried_over(None, SPEC) == {}
    assert carried_over(before, replace(SPEC, location="https://h/y.txt")) == before.items
    assert carried_over(before, replace(SPEC, to="s3://bucket/y/")) == {}
    assert carried_over(before, replace(SPEC, endpoint="http://other")) == {}
    (item,) = carried_over(before, replace(SPEC, options=Options(suspend=True))).values()
    assert item.options.suspend
    (item,) = carried_over(before, replace(SPEC, entry="new name")).values()
    assert item == replace(next(iter(before.items.values())), entry="new name")
