"""Lists over each source that may hold one, a file and a URL: complete, unchanged, changed, cut, missing."""

import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from mirrord.declared import ListSpec
from mirrord.engine.local_files import LocalFiles
from mirrord.errors import SourceMissing
from mirrord.model import File, HttpOptions
from mirrord.ports import Source
from mirrord.settings import OwnPaths
from mirrord.sources.http import HttpSources
from mirrord.sources.list.reader import ListReading, read_list
from tests.support.origin import Origin, chunked, cut_after, says, unframed


@dataclass
class Place:
    """Where the list is. `write` makes a new version."""

    spec: ListSpec
    source: Callable[[], Source]
    write: Callable[[bytes], object]
    remove: Callable[[], object]


@pytest.fixture(params=["file", "url"])
async def place(request: pytest.FixtureRequest, tmp_path: Path, origin: Origin) -> AsyncIterator[Place]:
    file = tmp_path / "x.txt"
    files = LocalFiles(OwnPaths(str(tmp_path / "state"), frozenset()))
    location = str(file) if request.param == "file" else origin.url("/x.txt")
    spec = ListSpec(entry="e", location=location, to="s3://bucket/", store="s", endpoint="http://s")
    if request.param == "file":
        yield Place(spec, lambda: files.source(File(None, location)), file.write_bytes, file.unlink)
        return
    async with HttpSources() as sources:
        yield Place(
            spec,
            lambda: sources.list_source(location, HttpOptions()),
            lambda body: origin.publish("/x.txt", body),
            lambda: origin.withdraw("/x.txt"),
        )


async def read(place: Place, known: ListReading | None = None) -> tuple[ListReading | None, list[str]]:
    keys: list[str] = []
    reading = await read_list(
        place.spec,
        place.source(),
        lambda item, row, line: keys.append(item.destination.key),
        known.revision if known is not None else None,
    )
    return reading, keys


async def test_a_list_is_read_once_for_each_version(place: Place) -> None:
    place.write(b"https://h/a\nb\n" * 1 + b"# " + b"x" * 100_000)
    first, keys = await read(place)
    assert first is not None
    assert (keys, first.rows) == (["a", "b"], 2)
    assert not first.complete  # the long line
    place.write(b"b\nc\n")
    second, keys = await read(place, first)
    assert second is not None
    assert (keys, second.complete) == (["b", "c"], True)
    assert await read(place, second) == (None, [])


async def test_a_missing_list_is_an_error(place: Place) -> None:
    with pytest.raises(SourceMissing):
        await read(place)
    place.write(b"a\n")
    known, _ = await read(place)
    place.remove()
    with pytest.raises(SourceMissing):
        await read(place, known)


async def test_a_file_that_changes_while_it_is_read_is_incomplete(tmp_path: Path) -> None:
    file = tmp_path / "x.txt"
    file.write_bytes(b"".join(b"%d\n" % n for n in range(40_000)))
    source = LocalFiles(OwnPaths(str(tmp_path / "state"), frozenset())).source(File(None, str(file)))
    spec = ListSpec(entry="e", location=str(file), to="s3://bucket/", store="s", endpoint="http://s")
    rows = 0

    def keep(*_: object) -> None:
        nonlocal rows
        rows += 1
        if rows == 100:
            os.truncate(file, 0)

    reading = await read_list(spec, source, keep)
    assert reading is not None
    assert not reading.complete
    assert reading.revision is None
    assert 100 <= rows < 40_000


@pytest.mark.parametrize("place", ["url"], indirect=True)
async def test_how_a_body_ends_decides(place: Place, origin: Origin) -> None:
    place.write(b"a\nbbb\n")
    for behaviour, complete, cut, expected in (
        (chunked(), True, False, ["a", "bbb"]),
        (unframed(), False, False, ["a", "bbb"]),
        (cut_after(4), False, True, ["a"]),
        (says(**{"Content-Encoding": "br"}), False, False, []),
    ):
        origin.behave("/x.txt", behaviour)
        reading, keys = await read(place)
        assert reading is not None
        assert (reading.complete, keys) == (complete, expected)
        assert (reading.revision is None) is cut
