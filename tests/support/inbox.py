"""A watched folder before the real `mirrord run`, a counting proxy, and a witness who never stops reading the bucket.

`folder(...)` starts the daemon on a folder. `Witness` is a thread of its own: each object that it ever lists must be
one of the whole contents that its file ever had, as they were told by `may`. Contents stay below a single put, so that
an ETag is an MD5.
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
"""MD5 by name."""


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def tree(root: Path) -> Sums:
    """Every file below `root` whose name counts, as it is."""
    found: Sums = {}
    for directory, names, files in os.walk(root):
        names[:] = [name for name in names if not name.startswith(".")]
        for name in files:
            if not (name.startswith(".") or name.endswith(("~", ".part", ".tmp", ".swp"))):
                path = Path(directory, name)
                found[str(path.relative_to(root))] = md5(path.read_bytes())
    return found


def files_below(root: Path) -> list[Path]:
    """What stands below it, but directories; one that goes while it is read is passed over, as pathlib would not."""
    return [Path(directory, name) for directory, _, names in os.walk(root) for name in names]


def objects(client: Any, bucket: str) -> Sums:
    """The bucket as boto3 lists it."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return {one["Key"]: one["ETag"].strip('"') for page in pages for one in page.get("Contents", ())}


def emptied(client: Any, bucket: str) -> None:
    """Delete every object of the bucket."""
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        if keys := [{"Key": one["Key"]} for one in page.get("Contents", ())]:
            client.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})


class Witness:
    """Reads the bucket over and over on a thread; `strangers` is what it must not have seen."""

    def __init__(self, server: Server, bucket: str) -> None:
        self.bucket = bucket
        self.looks = 0
        self.strangers: list[str] = []
        self.latest: Sums = {}
        self._whole: dict[str, set[str]] = {}
        self._client = server.client()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="witness", daemon=True)

    def may(self, name: str, content: bytes | str) -> None:
        """The file has this whole content from now on, or soon; said before its last byte is written. Or its MD5."""
        self._whole.setdefault(name, set()).add(content if isinstance(content, str) else md5(content))

    def _look(self) -> None:
        """One look, judged."""
        listed = objects(self._client, self.bucket)
        self.looks, self.latest = self.looks + 1, listed
        self.strangers += [f"{key}: {sum_}" for key, sum_ in listed.items() if sum_ not in self._whole.get(key, ())]

    def _watch(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            self._look()
            self._stop.wait(max(0.03, 5 * (time.monotonic() - began)))  # it shares its cores with what it looks at

    def __enter__(self) -> "Witness":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._client.close()


class Inbox:
    """The folder at `root`, whose files go to the bucket under their own names."""

    def __init__(self, root: Path, daemon: Daemon, proxy: StoreProxy | None, witness: Witness) -> None:
        self.root = root
        self.daemon = daemon
        self.witness = witness
        self._proxy = proxy

    def write(self, name: str, content: bytes) -> None:
        """A whole file, under its own name from the start."""
        self.witness.may(name, content)
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def may_have(self, place: str, directory: Path) -> None:
        """All of `directory` may come to stand at `place`."""
        for name, sum_ in tree(directory).items():
            self.witness.may(f"{place}/{name}" if place else name, sum_)

    @property
    def puts(self) -> Counter[str]:
        """How often each object was written: as the proxy saw it, without one as the log says."""
        if self._proxy is None:
            return Counter(line["key"] for line in self.daemon.logged("transfer.completed"))
        return Counter(
            call.key
            for call in list(self._proxy.calls)
            if call.operation in ("PutObject", "CompleteMultipartUpload", "CopyObject")
            and call.bucket == self.witness.bucket
        )

    async def equal(self, kept: Mapping[str, str] = {}, seconds: float = 60.0) -> float:
        """Wait until the bucket is the tree and what was `kept` of former files; how long that took."""
        began = time.monotonic()
        wanted = await asyncio.to_thread(tree, self.root) | dict(kept)
        while self.witness.latest != wanted:
            if time.monotonic() - began > seconds:
                listed = self.witness.latest
                missing, more = wanted.items() - listed.items(), listed.items() - wanted.items()
                raise AssertionError(
                    f"not within {seconds} s: {len(missing)} missing, as {sorted(missing)[:5]}; {len(more)} others, as "
                    f"{sorted(more)[:5]}\n{self.daemon.said[-6000:]}"
                )
            await asyncio.sleep(0.05)
        return time.monotonic() - began

    async def scanned(self, times: int = 2) -> None:
        """Until the folder was scanned that often from its beginning on: what was to come has come."""
        for _ in range(times):
            before = (await self.status())["last_scan"]

            async def again(before: float | None = before) -> bool:
                return bool((await self.status())["last_scan"] != before)

            await self.daemon.wait_for(again, what="a scan")

    async def status(self) -> dict[str, Any]:
        (folder,) = (await self.daemon.api("status"))["folders"]
        return dict(folder)

    async def once(self, **times: int) -> None:
        """Each file was written once, or so many times; asked when another scan has passed."""
        await self.scanned()
        wrong = {key: count for key, count in self.puts.items() if count != times.get(key, 1)}
        assert not wrong, (wrong, self.daemon.said[-6000:])


def manifest(server: Server, root: Path, bucket: str, **fields: Any) -> str:
    """One folder; `fields` are written as JSON."""
    given = {"path": str(root), "to": f"s3://{bucket}/", "settle": f"{SETTLE}s", "rescan": f"{RESCAN}s"} | fields
    return store_section(server) + f"folders:\n  - {json.dumps(given)}\n"


@asynccontextmanager
async def folder(
    home: Path, server: Server, bucket: str, proxy: StoreProxy | None = None, **fields: Any
) -> AsyncIterator[Inbox]:
    """`mirrord run` on the folder `home`/inbox, through the proxy if there is one. No stranger was seen at its end."""
    root, file = home / "inbox", home / "m.yaml"
    root.mkdir(exist_ok=True)
    file.write_text(manifest(proxy.server if proxy else server, root, bucket, **fields))
    with Witness(server, bucket) as witness:
        for name, sum_ in tree(root).items():
            witness.may(name, sum_)
        async with running(home, str(file)) as daemon:
            yield Inbox(root, daemon, proxy, witness)
    assert witness.looks > 1
    assert not witness.strangers, f"seen in the bucket, and no whole file: {witness.strangers[:5]}"
