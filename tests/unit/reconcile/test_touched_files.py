"""Files that were touched: what is read and sent, what is said, and what the journal knows afterwards."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest

from mirrord.errors import Reason
from mirrord.events import ItemRetrying, ItemUnchanged, TransferCompleted, TransferStarted
from mirrord.model import File, FileIdentity, Observed, Record, State
from mirrord.sources.file import FileSource, file_source
from mirrord.testing import MemoryStore
from mirrord.transfer.verify import has_recorded_bytes
from tests.support.item_world import AT, World
from tests.support.records import with_fields

LATER = 2_000_000_000


class Puts(MemoryStore):
    """Counts what is written to it."""

    puts = 0

    async def put_object(self, *given, **more):  # type: ignore[no-untyped-def]
        self.puts += 1
        return await super().put_object(*given, **more)


class Files(World):
    """The item's source is a real file, on paths below a directory."""

    def __init__(self, directory: Path) -> None:
        super().__init__(store=Puts())
        self.path = directory / "file"
        self.path.write_bytes(b"content")
        self.item = replace(self.item, origin=File(None, str(self.path)))
        object.__setattr__(self.reconciler, "source_of", lambda item: file_source(item.origin))

    def touch(self, content: bytes | None = None, seconds: int = LATER) -> None:
        if content is not None:
            self.path.write_bytes(content)
        os.utime(self.path, (seconds, seconds))

    async def record(self) -> Record:
        known = await self.journal.record(AT.item_id)
        assert known is not None
        return known

    @property
    def now(self) -> FileIdentity:
        return FileIdentity.of(os.lstat(self.path))

    @property
    def puts(self) -> int:
        assert isinstance(self.store, Puts)
        return self.store.puts


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


async def test_a_touched_file_sends_nothing_and_is_known_as_it_is_now(files: Files) -> None:
    await files.check()
    before = await files.record()
    files.touch()
    outcome = await files.check()
    assert (outcome.state, outcome.copied, files.puts) == (State.SYNCED, None, 1)
    assert files.event_types() == [ItemUnchanged]
    after = await files.record()
    assert after.revision is not None
    assert after.revision.file == files.now != (before.revision.file if before.revision else None)
    assert (
        after.object.etag,
        after.object.transfer_id,
        after.object.checksum,
        after.object.size,
        after.object.integrity,
        after.object.synced_at,
    ) == (
        before.object.etag,
        before.object.transfer_id,
        before.object.checksum,
        before.object.size,
        before.object.integrity,
        before.object.synced_at,
    )


async def test_other_bytes_of_the_same_length_are_sent(files: Files) -> None:
    await files.check()
    files.touch(b"CONTENT")
    assert (await files.check()).copied is not None
    assert files.event_types() == [TransferStarted, TransferCompleted]
    assert (files.content, files.puts) == (b"CONTENT", 2)


async def test_other_bytes_are_found_behind_an_mtime_that_was_set_back(files: Files) -> None:
    """As a chmod, only the ctime tells of it."""
    await files.check()
    before = os.stat(files.path)
    files.path.write_bytes(b"CONTENT")
    os.utime(files.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    await files.check()
    assert files.content == b"CONTENT"


async def test_a_file_that_changes_while_it_is_read_is_not_believed(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    await files.check()
    files.touch()
    confirm = FileSource.confirm

    async def change(source: FileSource, observed: Observed) -> None:
        files.touch(b"CONTENT", LATER + 1)
        await confirm(source, observed)

    monkeypatch.setattr(FileSource, "confirm", change)
    outcome = await files.check()
    assert (outcome.state, outcome.reason) == (State.RETRYING, Reason.SOURCE_CHANGED)
    assert files.event_types() == [ItemRetrying], "none was started"
    monkeypatch.undo()
    await files.check()
    assert (files.content, files.puts) == (b"CONTENT", 2)


async def test_a_file_is_read_in_a_slot(files: Files) -> None:
    await files.check()
    files.touch()
    slots = files.reconciler.transfers.slots
    for _ in range(4):
        await slots.take("other")
    checking = asyncio.create_task(files.check())
    for _ in range(100):  # far more turns of the loop than it needs to the end
        await asyncio.sleep(0)
    assert not checking.done()
    slots.give()
    assert (await checking).state is State.SYNCED


async def test_a_record_without_a_checksum_holds_nothing(files: Files) -> None:
    await files.check()
    async with FileSource(str(files.path)) as source:
        observed = await source.probe()
        assert observed is not None
        known = await files.record()
        budget = files.reconciler.transfers.budget
        assert await has_recorded_bytes(source, observed, known, budget)
        assert not await has_recorded_bytes(source, observed, with_fields(known, checksum=None), budget)
