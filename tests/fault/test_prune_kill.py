"""kill -9 of the real `mirrord run` at each step of a deletion (`delete: mirror`), then the daemon again.

The steps: the last HEAD of the object, the DELETE before the store has it, its answer, the commit of the journal. The
moment is exact: calls wait at the proxy, or the test has the write lock of the journal. Meanwhile some of the files are
created again. At the end bucket and journal agree with the folder, and each object was deleted once or not at all.
"""

import asyncio
import shutil
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from mirrord.journal.sqlite import SqliteJournal
from mirrord.model import Record
from tests.support.daemon import Daemon, running
from tests.support.inbox import manifest, md5, objects, tree
from tests.support.proxy import Seen, StoreProxy

KEPT = [f"kept/{number}" for number in range(5)]
GOING = ["gone", "back", "returned"]
"""Deleted files: for good; replaced by another file of the same length; restored as the same file."""
PATIENCE = 60.0


class HeldCalls:
    """Makes one call of `operation` on each of `keys` wait: before the store gets it or after it `answered`."""

    def __init__(self, operation: str, keys: list[str], *, answered: bool) -> None:
        self._operation = operation
        self._answered = answered
        self._missing = set(keys)
        self._all = threading.Event()
        self._opened: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
        self._lost = False

    def set_on(self, proxy: StoreProxy) -> None:
        proxy.before, proxy.after = (None, self._hold) if self._answered else (self._hold, None)

    async def _hold(self, seen: Seen, request: web.Request) -> web.StreamResponse | None:
        if seen.operation != self._operation or seen.key not in self._missing:
            return None
        self._missing.remove(seen.key)
        gate = asyncio.Event()
        self._opened.append((asyncio.get_running_loop(), gate))
        if not self._missing:
            self._all.set()
        await gate.wait()
        return web.Response(status=503) if self._lost else None

    async def reached(self) -> None:
        assert await asyncio.to_thread(self._all.wait, PATIENCE), f"no {self._operation} of {self._missing}"

    def release(self, *, lost: bool = False) -> None:
        """Let the calls pass; `lost`: the store never gets them, or the client never gets their answers."""
        self._lost = lost
        for loop, gate in self._opened:
            loop.call_soon_threadsafe(gate.set)


@contextmanager
def write_lock(home: Path) -> Iterator[None]:
    """Prevent all commits to the journal."""
    (state,) = (home / "state").rglob("state.db")
    with closing(sqlite3.connect(state, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


async def _killed_with_calls_held(daemon: Daemon, held: HeldCalls, home: Path) -> None:
    await daemon.kill()
    held.release(lost=True)


async def _killed_before_the_commit(daemon: Daemon, held: HeldCalls, home: Path) -> None:
    with write_lock(home):
        held.release()
        for _ in range(3):  # after these turns of its event loop it has read the answers
            assert (await daemon.ask("/livez"))[0] == 200
        await daemon.kill()


STEPS = {
    "the last HEAD of the object": ("HeadObject", True, _killed_with_calls_held),
    "the DELETE in flight": ("DeleteObject", False, _killed_with_calls_held),
    "the answer to DELETE in flight": ("DeleteObject", True, _killed_with_calls_held),
    "the commit of the journal": ("DeleteObject", True, _killed_before_the_commit),
}


async def records(home: Path) -> list[Record]:
    (state,) = (home / "state").rglob("state.db")
    async with SqliteJournal(state, read_only=True) as journal:
        assert [one async for one in journal.unfinished()] == []
        return [one async for one in journal.records()]


def deleted(proxy: StoreProxy) -> Counter[str]:
    """The number of DELETE requests for each object."""
    assert proxy.counts["DeleteObjects"] == 0
    return Counter(call.key for call in proxy.calls if call.operation == "DeleteObject" and call.forwarded)


def put(proxy: StoreProxy) -> Counter[str]:
    return Counter(call.key for call in proxy.calls if call.operation == "PutObject" and call.status == 200)


@pytest.mark.parametrize("step", STEPS)
async def test_killed_in_a_deletion_each_object_is_deleted_once_and_no_other(
    step: str, tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any
) -> None:
    operation, answered, kill = STEPS[step]
    root, away, file = tmp_path / "inbox", tmp_path / "away", tmp_path / "m.yaml"
    away.mkdir()
    for name in (*KEPT, *GOING, "overwritten"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{name}, the first")
    s3_client.put_object(Bucket=bucket, Key="other", Body=b"never a file")
    file.write_text(manifest(store_proxy.server, root, bucket, settle="50ms", rescan="200ms", delete="mirror"))
    async with running(tmp_path, str(file)) as daemon:
        await daemon.synced(*KEPT, *GOING, "overwritten", seconds=PATIENCE)
        s3_client.put_object(Bucket=bucket, Key="overwritten", Body=b"another program's")
        held = HeldCalls(operation, GOING, answered=answered)
        held.set_on(store_proxy)
        for name in (*GOING, "overwritten"):
            (root / name).rename(away / name)
        await held.reached()
        await kill(daemon, held, tmp_path)
        store_proxy.before = store_proxy.after = None
    known = {one.destination.key: one for one in await records(tmp_path)}
    assert all(known[name].object.etag and known[name].removed is None for name in GOING), (
        "killed before it was recorded"
    )
    once = dict.fromkeys(GOING, 1) if (operation, answered) == ("DeleteObject", True) else {}
    assert deleted(store_proxy) == once

    (root / "back").write_text("back, the other")
    shutil.move(away / "returned", root / "returned")
    puts = put(store_proxy)
    async with running(tmp_path, "--log-level", "debug", str(file)) as daemon:
        await daemon.synced(*KEPT, "back", "returned", seconds=PATIENCE)
        scans = daemon.mark
        await daemon.wait_for(lambda: len(daemon.logged("folder.rescanned", since=scans)) > 2, PATIENCE)

    assert deleted(store_proxy) == once | {"gone": 1}
    puts = put(store_proxy) - puts
    assert puts["back"] == 1
    assert set(puts) <= {"back", "returned"}, "existing objects must not be written again"
    others = {"other": md5(b"never a file"), "overwritten": md5(b"another program's")}
    present = objects(s3_client, bucket)
    assert present == tree(root) | others
    known = {one.destination.key: one for one in await records(tmp_path)}
    in_force = {key: (one.object.etag or "").strip('"') for key, one in known.items() if one.removed is None}
    assert in_force == {key: present[key] for key in tree(root)}
