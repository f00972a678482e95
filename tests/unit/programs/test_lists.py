"""The lists of a program that ends: claims on objects, faults, retries."""

from dataclasses import dataclass, replace

import pytest

from mirrord.declared import ListSpec
from mirrord.errors import SourceDenied, SourceUnavailable
from mirrord.model import FileIdentity, Observed
from mirrord.planning.timing.backoff import Backoff
from mirrord.programs.lists import ListReader
from mirrord.testing import AutoAdvancingClock, MemorySource

ONE = ListSpec(entry="one", location="/l/1.txt", to="s3://bucket/", store="s", endpoint="http://s")
TWO = replace(ONE, entry="two", location="/l/2.txt")


def reader(clock: AutoAdvancingClock, tries: int = 1, **sources: MemorySource) -> ListReader:
    return ListReader(source_of=lambda spec: sources[spec.entry], sleep=clock.sleep, retries=Backoff(tries=tries))


async def test_a_row_whose_object_belongs_to_another_entry_is_bad() -> None:
    sources = {"one": MemorySource(b"a\nb\na\n"), "two": MemorySource(b"b\nc\nd\n")}
    read = reader(AutoAdvancingClock(), **sources)
    found = await read.read([ONE, TWO], {})
    items = list(found)
    assert [(item.entry, item.destination.key) for item in items] == [
        ("one", "a"),
        ("one", "b"),
        ("two", "c"),
        ("two", "d"),
    ]
    assert all(item.id in found for item in items)
    assert found.faults == [
        "/l/1.txt:3: s3://bucket/a is also the object of /l/1.txt:1; one object, one item",
        "/l/2.txt:1: s3://bucket/b is also the object of /l/1.txt:2; one object, one item",
    ]
    again = await read.read([TWO], {items[2].id: "a mirror"})
    assert [item.destination.key for item in again] == ["b", "d"]
    assert again.faults == ["/l/2.txt:2: s3://bucket/c is also the object of a mirror; one object, one item"]
    assert items[2].id not in again


async def test_only_lists_with_local_files_count_as_such() -> None:
    sources = {"one": MemorySource(b"https://h/a\nb\n"), "two": MemorySource(b"https://h/c\n")}
    found = await reader(AutoAdvancingClock(), **sources).read([ONE, TWO], {})
    assert [item.destination.key for item in found.of_files()] == ["a", "b"]
    assert [item.destination.key for item in found] == ["a", "b", "c"]


@pytest.mark.parametrize(("tries", "faults"), [(1, ["no answer"]), (3, [])])
async def test_a_transient_error_is_tried_again(tries: int, faults: list[str]) -> None:
    source = MemorySource(b"a\n", fails=SourceUnavailable("no answer"))
    clock = AutoAdvancingClock(meanwhile=lambda: setattr(source, "fails", None))
    found = await reader(clock, tries, one=source).read([ONE], {})
    assert found.faults == faults
    assert len(list(found)) == (not faults)


async def test_a_list_that_cannot_be_read_hides_no_other() -> None:
    denied = MemorySource(fails=SourceDenied("denied"))
    found = await reader(AutoAdvancingClock(), 5, one=denied, two=MemorySource(b"a\n")).read([ONE, TWO], {})
    assert found.faults == ["denied"]
    assert len(denied.log.known) == 1
    assert [item.entry for item in found] == ["two"]


@dataclass
class FileInMemory(MemorySource):
    mtime: float = 0.0

    @property
    def observed(self) -> Observed:
        found = super().observed
        file = FileIdentity(1, 1, len(self.content or b""), int(self.mtime * 1e9), 0)
        return replace(found, revision=replace(found.revision, file=file))


WRITING = "/l/1.txt was being written while it was read: nothing leaves because of it"


@pytest.mark.parametrize(
    ("age", "then", "whys"),
    [
        (9.0, b"a\n", []),
        (1.0, b"a\n", [""]),
        (1.0, b"a\nb\n", [WRITING]),
        (1.0, None, ["x: the source does not exist"]),
    ],
)
async def test_a_list_that_was_just_written_is_looked_at_again(age: float, then: bytes | None, whys: list[str]) -> None:
    source, clock = FileInMemory(b"a\n"), AutoAdvancingClock()
    source.mtime = clock.now() - age
    found = await replace(reader(clock, one=source), now=clock.now).read([ONE], {})
    source.content = then
    assert [await why() for why in found.fresh] == whys
    assert found.faults == []
