"""A small file is probed, read and confirmed in one call to the threads; its bytes are of the observed revision."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from mirrord.errors import SourceChanged
from mirrord.sources.file import READ_AHEAD, FileSource
from mirrord.sources.pool import FilePool
from tests.support.reading import probed, read

T = TypeVar("T")


class CountedPool(FilePool):
    calls = 0

    async def run(self, work: Callable[[], T], drop: Callable[[T], object] | None = None, *, surely: bool = False) -> T:
        self.calls += 1
        return await super().run(work, drop, surely=surely)


@pytest.fixture
def pool(tmp_path: Path) -> CountedPool:
    return CountedPool(str(tmp_path))


def source_at(path: Path, pool: FilePool) -> FileSource:
    return FileSource(str(path), str(path.parent), pool=pool, read_ahead=READ_AHEAD)


@pytest.mark.parametrize(("size", "calls"), [(1, 1), (READ_AHEAD, 1), (READ_AHEAD + 1, 3)])
async def test_a_file_up_to_the_limit_takes_one_call(tmp_path: Path, pool: CountedPool, size: int, calls: int) -> None:
    path, content = tmp_path / "f", os.urandom(size)
    path.write_bytes(content)
    async with source_at(path, pool) as source:
        observed = await probed(source)
        async with source.open(observed) as stream:
            view = memoryview(bytearray(size + 1))
            assert await stream.readinto(view) == size
            assert await stream.readinto(view[size:]) == 0
        await source.confirm(observed)
    assert view[:size] == content
    assert pool.calls == calls


async def test_a_later_change_is_another_revision(tmp_path: Path, pool: CountedPool) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"first")
    async with source_at(path, pool) as source:
        observed = await probed(source)
        path.write_bytes(b"other")
        assert await read(source, observed) == b"first"
        await source.confirm(observed)
        again = await source.probe(observed.revision)
        assert again is not None
        assert await read(source, again) == b"other"
        with pytest.raises(SourceChanged):  # only the last probe's bytes are kept
            await read(source, observed)


@pytest.mark.parametrize("moment", ["open", "read", "close"])
async def test_a_change_during_the_call_is_found_by_the_copy(
    tmp_path: Path, pool: CountedPool, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"first")
    call = getattr(os, moment)

    def changed_before(*given: object, **more: object) -> object:
        monkeypatch.setattr(os, moment, call)
        path.with_name("new").write_bytes(b"other")
        path.with_name("new").rename(path)
        return call(*given, **more)

    async with source_at(path, pool) as source:
        monkeypatch.setattr(os, moment, changed_before)
        observed = await probed(source)
        with pytest.raises(SourceChanged):
            await read(source, observed)


async def test_nothing_is_read_of_the_known_revision(
    tmp_path: Path, pool: CountedPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "f").write_bytes(b"x")
    async with source_at(tmp_path / "f", pool) as source:
        known = (await probed(source)).revision
        monkeypatch.setattr(os, "read", None)
        assert await source.probe(known) is None
