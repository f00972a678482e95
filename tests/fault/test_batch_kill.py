"""kill -9 of `sync` and of `run` at each edge of a batch of small files: before and after the commit of intents and of
records, and while the store has requests or has answered them."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from mirrord.journal.sqlite import SqliteJournal
from tests.support.command import mirrord
from tests.support.daemon import running
from tests.support.inbox import md5, objects
from tests.support.killing import HeldCalls, kill_at
from tests.support.preloaded import REPOSITORY
from tests.support.proxy import StoreProxy
from tests.support.syncing import manifest, sync, with_store_field

FILES = 30
TRANSFERS = 16

EDGE = """
import os
from mirrord.journal.sqlite import database

transact = database._transact

def killed(connection, statements):
    batch = sum(one.name == {statement!r} for one in statements) > 1
    if batch and {when!r} == "before":
        os.kill(os.getpid(), 9)
    transact(connection, statements)
    if batch:
        os.kill(os.getpid(), 9)

database._transact = killed
"""
"""Kills the process at the first commit with several statements of this name."""


@pytest.fixture
def inbox(tmp_path: Path, bucket: str, store_proxy: StoreProxy) -> Path:
    (tmp_path / "inbox").mkdir()
    for number in range(FILES):
        (tmp_path / "inbox" / f"{number:02d}").write_bytes(f"content {number}".encode())
    folder = f"folders: [{{path: inbox, to: 's3://{bucket}/in/', settle: 0s}}]\n"
    return manifest(tmp_path, store_proxy.server, f"daemon: {{transfers: {TRANSFERS}}}\n{folder}")


async def objects_after_the_kill(proxy: StoreProxy, s3_client: Any, bucket: str) -> int:
    """The number of objects, once the store has answered the requests that were in flight, however slow it is."""
    calls = -1
    while calls != len(proxy.calls):  # those that were still in a socket have arrived
        calls = len(proxy.calls)
        await asyncio.sleep(0.3)
        await proxy.idle()
    found: int = s3_client.list_objects_v2(Bucket=bucket)["KeyCount"]
    return found


async def assert_continued(home: Path, file: Path, proxy: StoreProxy, s3_client: Any, bucket: str) -> tuple[int, int]:
    """The next pass puts only what the store lacks, with one HEAD for each open intent. Returns the number of objects
    and of intents after the kill."""
    stored = await objects_after_the_kill(proxy, s3_client, bucket)
    async with SqliteJournal(home / "state" / "mirrord" / "state.db", read_only=True) as journal:
        intents = [one async for one in journal.unfinished()]
    proxy.clear()
    done = await sync(home, file)
    assert done.code == 0, done.output
    assert proxy.counts["PutObject"] == FILES - stored
    assert proxy.counts["HeadObject"] <= len(intents)
    assert proxy.counts["GetObject"] == 0
    expected = {f"in/{number:02d}": md5(f"content {number}".encode()) for number in range(FILES)}
    assert objects(s3_client, bucket) == expected
    proxy.clear()
    again = await sync(home, file)
    assert f"{FILES} unchanged" in again.out
    assert (proxy.writes, proxy.bytes_sent) == (0, 0)
    return stored, len(intents)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("statement", ["begin_transfer", "save_record"])
async def test_killed_beside_a_commit(
    tmp_path: Path, inbox: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, statement: str, when: str
) -> None:
    patch = tmp_path / "patch"
    patch.mkdir()
    (patch / "sitecustomize.py").write_text(EDGE.format(statement=statement, when=when))
    killed = await mirrord("sync", str(inbox), home=tmp_path, env={"PYTHONPATH": f"{patch}:{REPOSITORY}"})
    assert killed.code == -9, killed.output
    stored, intents = await assert_continued(tmp_path, inbox, store_proxy, s3_client, bucket)
    if statement == "save_record":
        assert stored > 1
    assert intents >= (2 if (statement, when) in (("begin_transfer", "after"), ("save_record", "before")) else 0)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("statement", ["begin_transfer", "save_record"])
async def test_a_daemon_killed_beside_a_commit(
    tmp_path: Path, inbox: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, statement: str, when: str
) -> None:
    """The files appear together while it runs."""
    (tmp_path / "sitecustomize.py").write_text(EDGE.format(statement=statement, when=when))
    (tmp_path / "inbox").rename(tmp_path / "outside")
    (tmp_path / "inbox").mkdir()
    async with running(tmp_path, str(inbox), env={"PYTHONPATH": f"{tmp_path}:{REPOSITORY}"}) as daemon:
        for path in (tmp_path / "outside").iterdir():
            path.rename(tmp_path / "inbox" / path.name)
        assert await daemon.ended() == -9, daemon.output
    stored, intents = await assert_continued(tmp_path, inbox, store_proxy, s3_client, bucket)
    if statement == "save_record":
        assert stored > 1
    assert intents >= (2 if (statement, when) in (("begin_transfer", "after"), ("save_record", "before")) else 0)


@pytest.mark.parametrize("answered", [False, True], ids=["requested", "answered"])
async def test_a_daemon_killed_while_the_store_has_a_batch(
    tmp_path: Path, inbox: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, *, answered: bool
) -> None:
    """Its next start sends what the store lacks: one HEAD for each open intent, and no bytes twice."""
    held = HeldCalls("PutObject", count=2, answered=answered)
    held.set_on(store_proxy)
    async with running(tmp_path, str(inbox)) as daemon:
        assert await held.reached()
        await asyncio.sleep(0.1)
        await daemon.kill()
    store_proxy.before = store_proxy.after = None
    held.release()
    stored = await objects_after_the_kill(store_proxy, s3_client, bucket)
    assert stored <= (FILES if answered else FILES - 2)
    store_proxy.clear()
    async with running(tmp_path, str(inbox)) as daemon:
        await daemon.synced(*(f"in/{number:02d}" for number in range(FILES)))
        assert await daemon.stop() == 0
    assert store_proxy.counts["PutObject"] == FILES - stored
    assert store_proxy.counts["HeadObject"] <= FILES
    await assert_continued(tmp_path, inbox, store_proxy, s3_client, bucket)


@pytest.mark.parametrize(
    ("answered", "checksum"), [(False, "auto"), (True, "auto"), (True, "md5"), (True, "sha256")], ids=str
)
async def test_killed_while_the_store_has_a_batch(
    tmp_path: Path,
    inbox: Path,
    store_proxy: StoreProxy,
    bucket: str,
    s3_client: Any,
    *,
    answered: bool,
    checksum: str,
) -> None:
    with_store_field(inbox, f"checksum: {checksum}")
    held = HeldCalls("PutObject", count=TRANSFERS, answered=answered)
    assert await kill_at(held, store_proxy, tmp_path, inbox, later=0.1)
    stored, intents = await assert_continued(tmp_path, inbox, store_proxy, s3_client, bucket)
    assert intents == FILES  # a batch is begun in one commit
    assert stored == (TRANSFERS if answered else 0)
