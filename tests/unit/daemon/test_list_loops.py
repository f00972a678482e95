"""The loops of lists: which are started and ended, and whose object it is."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from mirrord.daemon.list_loops import ListLoops
from mirrord.daemon.supervise import Supervisor
from mirrord.declared import ListSpec
from mirrord.model import Item
from mirrord.testing import ManualClock, MemorySource

ONE = ListSpec(entry="one", location="https://h/1.txt", to="s3://bucket/", store="s", endpoint="http://s")
TWO = replace(ONE, entry="two", location="https://h/2.txt")


class Scene:
    def __init__(self, supervisor: Supervisor, clock: ManualClock) -> None:
        self.clock, self.supervisor = clock, supervisor
        self.sources = {"one": MemorySource(b"a\nb\n"), "two": MemorySource(b"b\nc\n")}
        self.loops = ListLoops(source_of=lambda spec: self.sources[spec.entry], supervisor=supervisor, clock=clock)

    async def applied(self) -> None: ...

    async def follow(self, *specs: ListSpec) -> None:
        await self.loops.stop_outdated({spec.entry: spec for spec in specs}, self.applied)
        self.loops.start_missing()
        await self.clock.run_ready()

    async def items(self, *mirrors: Item) -> dict[str, str]:
        items, _ = await self.loops.added_to({item.id: item for item in mirrors})
        return {item.destination.key: item.entry for item in items.values()}

    async def unknown(self) -> frozenset[str]:
        return (await self.loops.added_to({}))[1]


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    clock = ManualClock()
    async with Supervisor(clock) as supervisor:
        yield Scene(supervisor, clock)


async def test_an_object_belongs_to_the_first_entry_that_names_it(scene: Scene) -> None:
    await scene.follow(ONE, TWO)
    assert await scene.items() == {"a": "one", "b": "one", "c": "two"}
    status = {one.name: one for one in scene.loops.statuses()}
    assert status["one"].complete
    assert status["two"].faults == ("s3://bucket/b of two is also the object of one",)
    (mirror,) = (
        item for loop in [scene.loops._loops["one"]] for item in loop.items.values() if item.destination.key == "a"
    )
    assert (await scene.items(replace(mirror, entry="mirror")))["a"] == "mirror"


async def test_a_row_with_the_object_of_another_entry_is_a_bad_row(scene: Scene) -> None:
    await scene.follow(ONE, TWO)
    await scene.items()
    assert await scene.unknown() == {"two"}  # b is the object of `one`
    scene.sources["one"].content, scene.sources["one"].etag = b"a\nd\n", '"2"'
    scene.loops.read_again()
    await scene.clock.run_ready()
    assert await scene.items() == {"a": "one", "d": "one", "b": "two", "c": "two"}
    assert await scene.unknown() == set()
    scene.sources["one"].content, scene.sources["one"].etag = b"c\n", '"3"'
    scene.sources["two"].content, scene.sources["two"].etag = b"c\n", '"3"'
    scene.loops.read_again()
    await scene.clock.run_ready()
    assert await scene.items() == {"b": "two", "c": "one"}
    assert await scene.unknown() == {"two"}
    await scene.follow(TWO)
    await scene.items()
    await scene.clock.run_ready()
    assert await scene.items() == {"c": "two"}
    assert await scene.unknown() == set()


async def test_what_is_not_read_wholly_is_unknown(scene: Scene) -> None:
    scene.sources["two"].content = b"ftp://h/x\n"
    await scene.loops.stop_outdated({"one": ONE, "two": TWO}, scene.applied)
    assert await scene.unknown() == {"one", "two"}
    await scene.follow(ONE, TWO)
    assert await scene.unknown() == {"two"}


async def test_only_loops_of_other_lists_end(scene: Scene) -> None:
    await scene.follow(ONE, TWO)
    changed = replace(TWO, location="https://h/3.txt")
    scene.sources["two"].fails = OSError("a fault of the programme")
    await scene.follow(ONE, changed)
    assert scene.supervisor.names == {"list one", "list two"}
    assert len(scene.sources["one"].log.known) == 1
    assert await scene.items() == {"a": "one", "b": "one", "c": "two"}  # until it is read
    await scene.follow(ONE)
    assert scene.supervisor.names == {"list one"}
    assert await scene.items() == {"a": "one", "b": "one"}


async def test_a_renamed_list_keeps_its_items_until_it_is_read(scene: Scene) -> None:
    await scene.follow(ONE, TWO)
    scene.sources["renamed"] = MemorySource(None)
    await scene.follow(replace(ONE, entry="renamed"), TWO)
    assert await scene.items() == {"a": "renamed", "b": "renamed", "c": "two"}
    scene.sources["three"] = MemorySource(None)
    await scene.follow(replace(ONE, entry="three", location="https://h/other.txt"))
    assert await scene.items() == {}
