"""Files of a watched folder that change while the real `mirrord run` reads them for an upload.

Grown, truncated, overwritten in place (with its old mtime), replaced by a rename, removed: before any byte, after a
part or after all of it was read. The moment is exact: the files wait for memory, or for a part that waits at the proxy.
A thread lists the bucket all the time: it must see only the object before and the final content, nothing in between.
"""

import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest

from mirrord.journal.sqlite import SqliteJournal
from mirrord.sources.file import READ_MOST
from mirrord.units import MiB
from tests.support.daemon import Daemon, running
from tests.support.gate import Gate
from tests.support.inbox import BucketWatch, emptied, manifest, md5
from tests.support.proxy import StoreProxy
from tests.support.stored import keys_in, uploads

PART = 5 * MiB
CHANGES = ("grown", "cut", "in place", "replaced", "removed")
PATIENCE = 60.0


def etag(content: bytes, part: int) -> str:
    """The ETag of S3 for an upload in parts of this size; for a single put if one part is enough."""
    if len(content) <= part:
        return md5(content)
    digests = [bytes.fromhex(md5(content[at : at + part])) for at in range(0, len(content), part)]
    return f"{md5(b''.join(digests))}-{len(digests)}"


@dataclass
class Changing:
    """One file, its content `old`, and the `change` to it."""

    path: Path
    change: str
    old: bytes

    @property
    def new(self) -> bytes | None:
        """The content after the change; None: removed."""
        middle = len(self.old) // 2
        match self.change:
            case "grown":
                return self.old + b"more"
            case "cut":
                return self.old[: middle + 1]
            case "in place":
                return b"<" + self.old[1:middle] + b"|" + self.old[middle + 1 : -1] + b">"
            case "replaced":
                return self.old[::-1]
        return None

    def apply(self) -> None:
        new = self.new
        if new is None:
            self.path.unlink()
        elif self.change == "replaced":
            other = self.path.with_name(f".{self.path.name}.other")
            other.write_bytes(new)
            other.rename(self.path)
        elif self.change == "cut":
            os.truncate(self.path, len(new))
        else:
            before = self.path.stat()
            with self.path.open("r+b") as file:
                file.write(new)
            if self.change == "in place":
                os.utime(self.path, ns=(before.st_atime_ns, before.st_mtime_ns))


@dataclass
class World:
    """A daemon and its folder; each file has an object of a first content, only "fresh" has none yet."""

    daemon: Daemon
    proxy: StoreProxy
    root: Path
    files: list[Changing]
    watch: BucketWatch

    def calls(self, operation: str) -> Counter[str]:
        return Counter(call.key for call in self.proxy.calls if call.operation == operation)

    async def until_open(self) -> None:
        """Wait until the daemon has opened each of the files."""
        descriptors = Path(f"/proc/{self.daemon.process.pid}/fd")

        def opened() -> bool:
            links = {os.readlink(one) for one in descriptors.iterdir() if one.is_symlink()}
            return {str(one.path) for one in self.files} <= links

        await self.daemon.wait_for(opened, PATIENCE, "all files open")


@asynccontextmanager
async def world(
    home: Path, proxy: StoreProxy, bucket: str, size: int, s3_client: Any, **fields: Any
) -> AsyncIterator[World]:
    """A daemon that has uploaded the first contents; then the files get their `old` contents of `size` bytes."""
    root, file, chance = home / "inbox", home / "m.yaml", Random(size)
    root.mkdir()
    names = {change.replace(" ", "-"): change for change in CHANGES}
    files = [Changing(root / name, change, chance.randbytes(size)) for name, change in names.items()]
    known = [one.path for one in files]
    files.append(Changing(root / "fresh", "removed", chance.randbytes(size)))
    for path in known:
        path.write_bytes(b"first")
    daemon_section = f"daemon: {{memory_limit: {fields.pop('memory_limit', '256MiB')}}}\n"
    file.write_text(daemon_section + manifest(proxy.server, root, bucket, settle="50ms", rescan="1s", **fields))
    with BucketWatch(proxy.upstream, bucket) as watch:
        for one in files:
            if one.path in known:
                watch.allow(one.path.name, b"first")
            if one.new is not None:
                watch.allow(one.path.name, etag(one.new, PART))
        async with running(home, str(file)) as daemon:
            await daemon.synced(*(path.name for path in known), seconds=PATIENCE)
            proxy.clear()
            yield World(daemon, proxy, root, files, watch)
    emptied(s3_client, bucket)
    assert watch.unexpected == []


async def final(world: World, bucket: str, s3_client: Any, home: Path) -> None:
    """Wait until the bucket equals the folder plus objects of removed files; no upload is open, no item fails."""
    wanted = {"removed": md5(b"first")}
    for one in world.files:
        if one.new is not None:
            wanted[one.path.name] = etag(one.new, PART)
    await world.daemon.wait_for(lambda: world.watch.latest == wanted, PATIENCE, "bucket == folder")
    await world.daemon.synced(*wanted, seconds=PATIENCE)
    assert world.daemon.logged("item.blocked") == []
    assert await world.daemon.stop(PATIENCE) == 0
    assert uploads(s3_client, bucket) == []
    assert keys_in(s3_client, bucket) == set(wanted)
    (state,) = (home / "state").rglob("state.db")
    async with SqliteJournal(state, read_only=True) as journal:
        assert [one async for one in journal.unfinished()] == []


def discarded(world: World) -> set[str]:
    return {line["key"] for line in world.daemon.logged("transfer.failed", reason="SourceChanged")}


@pytest.mark.parametrize("held", ["a part of it was read", "all of it was read"])
async def test_a_multipart_upload_of_a_file_that_changes_never_becomes_visible(
    held: str, tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any
) -> None:
    """While one part is in flight, the next one is read and waits, and a third is not read yet."""
    upload = {"multipart_threshold": "5MiB", "part_size": "5MiB", "concurrency": 1}
    async with world(tmp_path, store_proxy, bucket, 2 * PART + 1000, s3_client, upload=upload) as one:
        gate = Gate.before(store_proxy, "UploadPart", part=1 if held.startswith("a part") else 3)
        for file in one.files:
            file.path.write_bytes(file.old)
        await one.daemon.wait_for(lambda: gate.held == len(one.files), PATIENCE, "a part of each file")
        for file in one.files:
            file.apply()
        gate.open()
        await final(one, bucket, s3_client, tmp_path)
        names = {file.path.name for file in one.files}
        assert discarded(one) == names
        assert one.calls("AbortMultipartUpload").keys() >= names
        assert one.calls("CompleteMultipartUpload") == {file.path.name: 1 for file in one.files if file.new}


async def test_a_put_of_a_file_that_changes_once_it_is_open_never_becomes_visible(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any
) -> None:
    """Parts of another file that wait at the proxy take all the memory; so each file is open but cannot be read.

    The files are larger than `READ_MOST`: a smaller one is open only while it is read.
    """
    fields = {"memory_limit": "24MiB", "upload": {"part_size": "8MiB"}}
    async with world(tmp_path, store_proxy, bucket, READ_MOST + 1000, s3_client, **fields) as one:
        gate = Gate.before(store_proxy, "UploadPart")
        large = os.urandom(24 * MiB)
        one.watch.allow("large", etag(large, 8 * MiB))
        (one.root / "large").write_bytes(large)
        await one.daemon.wait_for(lambda: gate.held == 3, PATIENCE, "three parts of the large file")
        for file in one.files:
            file.path.write_bytes(file.old)
        await one.until_open()
        for file in one.files:
            file.apply()
        (one.root / "large").unlink()
        gate.open()
        await final(one, bucket, s3_client, tmp_path)
        assert discarded(one) >= {file.path.name for file in one.files}
        assert one.calls("PutObject") == {file.path.name: 1 for file in one.files if file.new}
