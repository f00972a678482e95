"""A folder watched by the real `mirrord run`, a counting proxy, and a thread that lists the bucket all the time.

`folder(...)` starts the daemon on a folder. `BucketWatch` verifies each object that it lists: its content must be one
of the complete contents that the test announced for this file with `allow`. All contents are small enough for a single
put, so that an ETag is an MD5.
"""

import asyncio
import hashlib
import json
import os
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support.daemon import Daemon, running, store_section
from tests.support.proxy import StoreProxy
from tests.support.weed import Server

SETTLE = 0.5
RESCAN = 1.0

Sums = dict[str, str]
"""MD5 digests in hex, by file name or key."""


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def tree(root: Path) -> Sums:
    """The MD5 of every file below `root`, except the names that mirrord excludes by default."""
    found: Sums = {}
    for directory, names, files in os.walk(root):
        names[:] = [name for name in names if not name.startswith(".")]
        for name in files:
            if not (name.startswith(".") or name.endswith(("~", ".part", ".tmp", ".swp"))):
                path = Path(directory, name)
                found[str(path.relative_to(root))] = md5(path.read_bytes())
    return found


def files_below(root: Path) -> list[Path]:
    """All paths below `root` except directories. Ignores directories that disappear meanwhile; pathlib would raise."""
    return [Path(directory, name) for directory, _, names in os.walk(root) for name in names]


def objects(client: Any, bucket: str) -> Sums:
    """The ETags of all objects of the bucket by key, listed by boto3."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return {one["Key"]: one["ETag"].strip('"') for page in pages for one in page.get("Contents", ())}


def emptied(client: Any, bucket: str) -> None:
    """Delete every object of the bucket."""
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        if keys := [{"Key": one["Key"]} for one in page.get("Contents", ())]:
            client.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})


class BucketWatch:
    """Lists the bucket again and again in a thread; `unexpected` are objects whose content was never allowed."""

    def __init__(self, server: Server, bucket: str) -> None:
        self.bucket = bucket
        self.listings = 0
        self.unexpected: list[str] = []
        self.latest: Sums = {}
        self._whole: dict[str, set[str]] = {}
        self._client = server.client()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="bucket-watch", daemon=True)

    def allow(self, name: str, content: bytes | str) -> None:
        """Allow this complete content (or its MD5) for the file. Call it before the last byte is written."""
        self._whole.setdefault(name, set()).add(content if isinstance(content, str) else md5(content))

    def _verify(self) -> None:
        """List the bucket once and verify it."""
        listed = objects(self._client, self.bucket)
        self.listings, self.latest = self.listings + 1, listed
        self.unexpected += [f"{key}: {sum_}" for key, sum_ in listed.items() if sum_ not in self._whole.get(key, ())]

    def _watch(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            self._verify()
            self._stop.wait(
                max(0.03, 5 * (time.monotonic() - began))
            )  # limits its load: it shares the cores with the daemon and the store

    def __enter__(self) -> "BucketWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._client.close()


class Inbox:
    """The folder at `root`; the keys of its objects are the relative paths of its files."""

    def __init__(self, root: Path, daemon: Daemon, proxy: StoreProxy | None, watch: BucketWatch) -> None:
        self.root = root
        self.daemon = daemon
        self.watch = watch
        self._proxy = proxy

    def write(self, name: str, content: bytes) -> None:
        """Write a complete file directly under its final name."""
        self.watch.allow(name, content)
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def allow_all(self, prefix: str, directory: Path) -> None:
        """Allow all contents of `directory` under `prefix` (empty: the root), before it is moved there."""
        for name, sum_ in tree(directory).items():
            self.watch.allow(f"{prefix}/{name}" if prefix else name, sum_)

    @property
    def puts(self) -> Counter[str]:
        """The number of writes of each object: counted by the proxy, or in the log if there is no proxy."""
        if self._proxy is None:
            return Counter(line["key"] for line in self.daemon.logged("transfer.completed"))
        return Counter(
            call.key
            for call in list(self._proxy.calls)
            if call.operation in ("PutObject", "CompleteMultipartUpload", "CopyObject")
            and call.bucket == self.watch.bucket
        )

    async def equal(self, kept: Mapping[str, str] = {}, seconds: float = 60.0) -> float:
        """Wait until the bucket equals the folder plus `kept`, objects of former files; seconds that it took."""
        began = time.monotonic()
        wanted = await asyncio.to_thread(tree, self.root) | dict(kept)
        while self.watch.latest != wanted:
            if time.monotonic() - began > seconds:
                listed = self.watch.latest
                missing, more = wanted.items() - listed.items(), listed.items() - wanted.items()
                raise AssertionError(
                    f"not within {seconds} s: {len(missing)} missing: {sorted(missing)[:5]}; {len(more)} others: "
                    f"{sorted(more)[:5]}\n{self.daemon.output[-6000:]}"
                )
            await asyncio.sleep(0.05)
        return time.monotonic() - began

    async def scanned(self, times: int = 2) -> None:
        """Wait until this many complete scans ended; after two, every scan that was running before has ended too."""
        for _ in range(times):
            before = (await self.status())["last_scan"]

            async def again(before: float | None = before) -> bool:
                return bool((await self.status())["last_scan"] != before)

            await self.daemon.wait_for(again, what="a scan")

    async def status(self) -> dict[str, Any]:
        (folder,) = (await self.daemon.api("status"))["folders"]
        return dict(folder)

    async def once(self, **times: int) -> None:
        """Assert after further scans that each object was written once, or the given number of times."""
        await self.scanned()
        wrong = {key: count for key, count in self.puts.items() if count != times.get(key, 1)}
        assert not wrong, (wrong, self.daemon.output[-6000:])


def manifest(server: Server, root: Path, bucket: str, **fields: Any) -> str:
    """A manifest of one folder; `fields` are written as JSON."""
    given = {"path": str(root), "to": f"s3://{bucket}/", "settle": f"{SETTLE}s", "rescan": f"{RESCAN}s"} | fields
    return store_section(server) + f"folders:\n  - {json.dumps(given)}\n"


@asynccontextmanager
async def folder(
    home: Path, server: Server, bucket: str, proxy: StoreProxy | None = None, **fields: Any
) -> AsyncIterator[Inbox]:
    """`mirrord run` on the folder `home`/inbox, through the proxy if given. At the end all objects must be allowed."""
    root, file = home / "inbox", home / "m.yaml"
    root.mkdir(exist_ok=True)
    file.write_text(manifest(proxy.server if proxy else server, root, bucket, **fields))
    with BucketWatch(server, bucket) as watch:
        for name, sum_ in tree(root).items():
            watch.allow(name, sum_)
        async with running(home, str(file)) as daemon:
            yield Inbox(root, daemon, proxy, watch)
    assert watch.listings > 1
    assert not watch.unexpected, f"objects that are no complete file: {watch.unexpected[:5]}"
