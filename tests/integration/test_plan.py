"""`mirrord plan` with a real store and origin: its report, and that it writes nothing and reads no body."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

import mirrord
from mirrord.journal.lock import StateLock
from mirrord.model import State
from mirrord.units import MiB
from tests.support.command import Completed
from tests.support.command import mirrord as command
from tests.support.origin import Generated, Origin
from tests.support.proxy import StoreProxy
from tests.support.syncing import manifest, sync
from tests.support.weed import Server

HUGE = 64 * MiB
IN_FLIGHT = 24 * MiB
"""Bytes that an origin may send into buffers of the kernel and of aiohttp, although the client reads no body."""


async def plan(home: Path, file: Path, *more: str) -> Completed:
    return await command("plan", str(file), "--log-level", "error", *more, home=home)


def tree(directory: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(directory)): (path.stat().st_mtime_ns, path.stat().st_size)
        for path in directory.rglob("*")
    }


async def test_it_reports_the_actions_of_sync_and_writes_nothing(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin
) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "b.csv").write_bytes(b"1;2\n")
    same, changed = origin.publish("/same", b"same"), origin.publish("/changed", b"one")
    body = (
        f"mirrors:\n  {same}: s3://{bucket}/same\n  {changed}: s3://{bucket}/changed\n"
        f"  {origin.publish('/replaced', b'mine')}: s3://{bucket}/replaced\n"
    )
    file = manifest(tmp_path, store_proxy.server, body)
    assert (await sync(tmp_path, file)).code == 0

    origin.publish("/changed", b"two")
    s3_client.put_object(Bucket=bucket, Key="replaced", Body=b"a stranger's")
    huge = origin.publish("/huge.bin", Generated(HUGE, seed=5))
    gone = origin.url("/gone")
    file = manifest(
        tmp_path,
        store_proxy.server,
        f"{body}  {huge}: s3://{bucket}/huge.bin\n  {gone}: s3://{bucket}/gone\n"
        f"folders:\n  - {{path: inbox, to: 's3://{bucket}/in/', settle: 100ms}}\n",
    )
    before = tree(tmp_path / "state")
    store_proxy.clear()
    origin.log.clear()
    done = await plan(tmp_path, file)
    assert done.out.splitlines()[:-1] == [
        f"+ copy s3://{bucket}/changed  <- {changed}  (the source changed; 3 B, put)",
        f"+ copy s3://{bucket}/huge.bin  <- {huge}  (the object is missing; 64.0 MiB, multipart)",
        f"+ copy s3://{bucket}/in/b.csv  <- file://{inbox}/b.csv  (the object is missing; 4 B, put)",
        f"+ copy s3://{bucket}/replaced  <- {origin.url('/replaced')}  (the object was replaced; 4 B, put)",
        f"! blocked s3://{bucket}/gone  <- {gone}  (SourceMissing: {gone}: answered 404 Not Found)",
    ], done.output
    assert done.out.splitlines()[-1].startswith("4 to copy (64.0 MiB), 1 unchanged, 1 Blocked; looked at in ")
    assert done.code == 1
    assert store_proxy.writes == store_proxy.bytes_sent == 0
    assert {call.operation for call in store_proxy.calls} <= {"HeadObject", "HeadBucket"}
    assert tree(tmp_path / "state") == before
    assert [asked.status for asked in origin.asked("/same")] == [304]
    (asked,) = origin.asked("/huge.bin")
    await asyncio.to_thread(asked.over.wait, 10)
    assert asked.left
    assert asked.sent < IN_FLIGHT

    done = await sync(tmp_path, file)
    assert "4 copied" in done.out, "sync must do what plan reported"


async def test_its_json_and_its_exit_codes(tmp_path: Path, weed: Server, bucket: str, origin: Origin) -> None:
    url = origin.publish("/a", b"aaa")
    secret = url.replace("://", "://user:secret@") + "?token=secret"
    file = manifest(tmp_path, weed, f"mirrors:\n  {secret}: s3://{bucket}/a\n")
    assert (await plan(tmp_path, file)).code == 0
    done = await plan(tmp_path, file, "--json", "--exit-code")
    assert done.code == 3, done.output
    found = json.loads(done.out)
    assert found.pop("duration") < 60
    (change,) = found.pop("changes")
    assert len(change.pop("id")) == 16
    assert change == {
        "action": "copy",
        "entry": f"s3://{bucket}/a",
        "source": f"{url}?…",
        "store": "default",
        "destination": f"s3://{bucket}/a",
        "why": "the object is missing",
        "kind": "put",
        "size": 3,
    }
    assert found == {
        "left": [],
        "unchanged": 0,
        "adopted": 0,
        "rewrites": [],
        "differences": [],
        "incomplete": [],
        "problems": [],
    }
    assert "secret" not in done.out + done.err
    assert not (tmp_path / "state").exists()

    assert (await sync(tmp_path, file)).code == 0
    done = await plan(tmp_path, file, "--exit-code")
    assert done.code == 0, done.output
    assert "0 to copy (0 B), 1 unchanged;" in done.out
    other = await plan(tmp_path, file, "--state", str(tmp_path / "other"))
    assert "0 to copy (0 B), 1 unchanged (1 new to the journal);" in other.out

    config = tmp_path / "conf"
    config.mkdir()
    manifest(config, weed, f"mirrors:\n  {url}: s3://{bucket}/b\n", "good.yaml")
    (config / "bad.yaml").write_text("mirrors:\n  - urll: http://x/y\n")
    done = await plan(tmp_path, config, "--exit-code")
    assert done.code == 78, done.output
    assert f"+ copy s3://{bucket}/b" in done.out
    assert "! invalid " in done.out
    assert "bad.yaml:2:5" in done.out
    assert (await plan(tmp_path, tmp_path / "nowhere")).code == 2


async def test_what_sync_would_refuse_is_blocked(tmp_path: Path, weed: Server, bucket: str, origin: Origin) -> None:
    url = origin.publish("/page", b"<html>", content_type="text/html")
    origin.publish("/down", b"")
    file = manifest(
        tmp_path,
        weed,
        "mirrors:\n"
        f"  {url}: {{to: 's3://{bucket}/big', max_size: 5B}}\n"
        f"  {url}?1: {{to: 's3://{bucket}/login', expect: {{content_type: application/gzip}}}}\n"
        f"  {url}?2: {{to: 's3://{bucket}/off', suspend: true}}\n"
        f"  {url}?3: s3://no-such-bucket-here/x\n"
        "  http://127.0.0.1:1/refused: " + f"s3://{bucket}/refused\n"
        f"  {url}?4: {{to: 's3://{bucket}/listed', checksum: {{url: '{origin.url('/no-sums')}'}}}}\n",
    )
    done = await plan(tmp_path, file, "--exit-code", "--json")
    assert done.code == 1, done.output
    found = json.loads(done.out)
    assert found["changes"] == []
    left = {one["destination"].rpartition("/")[2]: (one["state"], one["reason"]) for one in found["left"]}
    assert left == {
        "big": ("Blocked", "TooLarge"),
        "login": ("Blocked", "SourceRefused"),
        "off": ("Suspended", None),
        "x": ("Blocked", "BucketMissing"),
        "refused": ("Retrying", "SourceUnavailable"),
        "listed": ("Blocked", "SourceMissing"),
    }


async def test_a_declared_bucket_is_announced_and_not_made(
    tmp_path: Path, store_proxy: StoreProxy, s3_client: Any, origin: Origin
) -> None:
    url = origin.publish("/a", b"aaa")
    file = tmp_path / "m.yaml"
    manifest(tmp_path, store_proxy.server, f"mirrors:\n  {url}: s3://declared-here/a\n")
    text = file.read_text().replace(
        "mirrors:", "    buckets: {declared-here: {create: true, versioning: true}, not-made: {}}\nmirrors:"
    )
    file.write_text(text)
    done = await plan(tmp_path, file, "--exit-code")
    assert done.code == 3, done.output
    assert done.out.splitlines()[:2] == [
        "+ create bucket s3://declared-here  (declared by store default, does not exist)",
        f"+ copy s3://declared-here/a  <- {url}  (the object is missing; 3 B, put)",
    ]
    assert "1 to copy (3 B), 1 bucket to create, 0 unchanged" in done.out
    assert store_proxy.writes == 0
    (bucket, copy) = json.loads((await plan(tmp_path, file, "--json")).out)["changes"]
    assert bucket == {
        "action": "create-bucket",
        "store": "default",
        "destination": "s3://declared-here",
        "why": "the bucket is declared and does not exist",
    }
    assert copy["action"] == "copy"
    assert "declared-here" not in [one["Name"] for one in s3_client.list_buckets()["Buckets"]]


EMBEDDED = """
stores: {default: {provider: embedded, buckets: {demo: {create: true}}}}
folders: [{path: inbox, to: "s3://demo/", settle: 0s}]
"""


async def test_an_embedded_store_that_never_ran_is_not_made(tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "a.txt").write_text("a")
    (tmp_path / "m.yaml").write_text(EMBEDDED)
    for _ in range(2):
        done = await plan(tmp_path, tmp_path / "m.yaml")
        assert "1 to copy (1 B), 1 bucket to create, 0 unchanged" in done.out, done.output
        assert not (tmp_path / "state").exists()
    assert (await sync(tmp_path, tmp_path / "m.yaml")).code == 0
    done = await plan(tmp_path, tmp_path / "m.yaml", "--exit-code")
    assert done.code == 0, done.output
    assert "0 to copy (0 B), 1 unchanged" in done.out


async def test_it_needs_no_lock_and_takes_none(tmp_path: Path, weed: Server, bucket: str, origin: Origin) -> None:
    file = manifest(tmp_path, weed, f"mirrors:\n  {origin.publish('/a', b'a')}: s3://{bucket}/a\n")
    with StateLock(tmp_path / "state" / "mirrord"):
        assert (await sync(tmp_path, file)).code == 75
        assert "1 to copy" in (await plan(tmp_path, file)).out


async def test_names_that_are_no_text_are_shown(tmp_path: Path, weed: Server, bucket: str) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / os.fsdecode(b"bad-\xff.bin")).write_bytes(b"x")
    (inbox / "good").write_bytes(b"x")
    file = manifest(tmp_path, weed, f"folders:\n  - {{path: inbox, to: 's3://{bucket}/', settle: 0s}}\n")
    done = await plan(tmp_path, file)
    assert f"+ copy s3://{bucket}/good" in done.out, done.output
    assert "Traceback" not in done.err
    assert json.loads((await plan(tmp_path, file, "--json")).out)["changes"]


async def test_programs_plan_and_sync(tmp_path: Path, weed: Server, bucket: str, origin: Origin) -> None:
    url = origin.publish("/a", b"aaa")
    file = manifest(tmp_path, weed, f"mirrors:\n  {url}: s3://{bucket}/a\n  {url}?b: s3://{bucket}/b\n")
    where: Any = {"state": str(tmp_path / "state"), "environ": {}}
    planned = await mirrord.plan([str(file)], only=["b"], **where)
    assert [str(copy.item.destination) for copy in planned.copies] == [f"s3://{bucket}/b"]
    assert (planned.changes, planned.failed) == (1, False)
    report = await mirrord.sync([str(file)], only=["b"], **where)
    assert (report.copied, report.failed) == (1, False)
    planned = await mirrord.plan([str(file)], **where)
    assert (len(planned.copies), planned.unchanged, planned.adopted) == (1, 1, 0)
    assert mirrord.Manifest.load(file).document.mirrors[0].to == f"s3://{bucket}/a"
    origin.withdraw("/a")
    planned = await mirrord.plan([str(file)], **where)
    assert {left.outcome.state for left in planned.left} == {State.BLOCKED}
    with pytest.raises(mirrord.MirrordError):
        await mirrord.plan([str(tmp_path / "nowhere")], **where)
