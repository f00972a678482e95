"""`mirrord verify` as users run it: its results, and that it changes nothing."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from mirrord.journal.lock import StateLock
from mirrord.units import MiB
from tests.support.command import Completed, mirrord
from tests.support.origin import Generated, Origin
from tests.support.proxy import StoreProxy
from tests.support.store_faults import (
    ALWAYS,
    Faults,
    StoreFault,
    answer_truncated,
    denied,
    internal_error,
    not_sent,
    slow_down,
    unavailable,
)
from tests.support.syncing import manifest, sync

LARGE = Generated(12 * MiB, seed=9)


@pytest.fixture
async def file(tmp_path: Path, store_proxy: StoreProxy, bucket: str, origin: Origin) -> Path:
    """A manifest with four objects in sync: a put, a multipart upload, a declared digest, a file of a folder."""
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "note.txt").write_bytes(b"a note")
    digest = hashlib.sha256(b"declared").hexdigest()
    entries = [
        {"url": origin.publish("/small", b"small"), "to": f"s3://{bucket}/small"},
        {
            "url": origin.publish("/large", LARGE),
            "to": f"s3://{bucket}/large",
            "upload": {"multipart_threshold": "5MiB", "part_size": "5MiB"},
        },
        {
            "url": origin.publish("/declared", b"declared"),
            "to": f"s3://{bucket}/declared",
            "checksum": f"sha256:{digest}",
        },
    ]
    folder = {"path": "inbox", "to": f"s3://{bucket}/in/", "settle": "50ms"}
    made = manifest(tmp_path, store_proxy.server, f"mirrors: {json.dumps(entries)}\nfolders: {json.dumps([folder])}\n")
    done = await sync(tmp_path, made)
    assert done.code == 0, done.output
    store_proxy.clear()
    origin.log.clear()
    return made


async def verify(home: Path, file: Path, *more: str) -> Completed:
    return await mirrord("verify", str(file), *more, home=home)


def content_of(file: Path) -> str:
    return file.read_text()


def shot(directory: Path) -> dict[str, tuple[int, bytes]]:
    return {one.name: (one.stat().st_mtime_ns, one.read_bytes()) for one in directory.rglob("*") if one.is_file()}


async def test_all_equal_and_nothing_written_beside_one_that_holds_the_state(
    tmp_path: Path, file: Path, store_proxy: StoreProxy, origin: Origin
) -> None:
    state = tmp_path / "state" / "mirrord"
    with StateLock(state):
        before = shot(state)
        done = await verify(tmp_path, file)
        assert done.code == 0, done.output
        assert done.out.startswith("4 equal; 12.0 MiB read in "), done.output
        assert shot(state) == before
    assert (store_proxy.writes, len(origin.log)) == (0, 0)
    assert (store_proxy.counts["HeadObject"], store_proxy.counts["GetObject"]) == (4, 4)
    store_proxy.clear()
    shallow = await verify(tmp_path, file, "--shallow")
    assert shallow.code == 0, shallow.output
    assert shallow.out.startswith("4 equal; 0 B read in ")
    assert (store_proxy.counts["HeadObject"], store_proxy.counts["GetObject"]) == (4, 0)


@pytest.mark.parametrize("deep", [True, False])
async def test_objects_that_were_replaced_cut_or_deleted(
    tmp_path: Path, file: Path, bucket: str, s3_client: Any, deep: bool
) -> None:
    s3_client.put_object(Bucket=bucket, Key="small", Body=b"smell")
    s3_client.put_object(Bucket=bucket, Key="large", Body=b"short")
    s3_client.delete_object(Bucket=bucket, Key="in/note.txt")
    done = await verify(tmp_path, file, *([] if deep else ["--shallow"]))
    assert done.code == 1, done.output
    lines = done.out.splitlines()
    assert lines[0] == f"differs s3://{bucket}/in/note.txt: the object is missing"
    assert lines[1].startswith(f"differs s3://{bucket}/large: the object has 5 bytes, 12,582,912 were stored")
    assert lines[2].startswith(f"differs s3://{bucket}/small: the object was replaced: its ETag is ")
    assert lines[3].startswith("1 equal, 3 differ; ")
    only = await verify(tmp_path, file, "--only", "declared")
    assert (only.code, only.out.splitlines()[0][:7]) == (0, "1 equal"), only.output


async def test_bytes_that_changed_under_their_etag_are_found_by_reading(
    tmp_path: Path, file: Path, bucket: str, store_proxy: StoreProxy
) -> None:
    store_proxy.spoiled.add("GetObject")
    done = await verify(tmp_path, file)
    assert done.code == 1, done.output
    differing = [line for line in done.out.splitlines() if line.startswith("differs")]
    assert len(differing) == 4
    assert all("the object's bytes changed: their crc64nvme is not what was stored" in line for line in differing)
    assert (await verify(tmp_path, file, "--shallow")).code == 0


async def test_a_file_that_is_another_now(tmp_path: Path, file: Path, bucket: str) -> None:
    note = tmp_path / "inbox" / "note.txt"
    stood = note.stat()
    note.write_bytes(b"A NOTE")
    changed = await verify(tmp_path, file)
    assert f"differs s3://{bucket}/in/note.txt: the file changed since it was mirrored" in changed.out, changed.output
    os.utime(note, ns=(stood.st_atime_ns, stood.st_mtime_ns))  # as by a bit error of the disk
    rotten = await verify(tmp_path, file)
    assert f"differs s3://{bucket}/in/note.txt: the object and its file differ" in rotten.out, rotten.output
    assert rotten.code == 1
    note.unlink()
    assert (await verify(tmp_path, file)).code == 0


@pytest.mark.parametrize(
    ("head", "get"), [(internal_error, not_sent), (unavailable, answer_truncated), (not_sent, slow_down)], ids=str
)
async def test_transient_errors_are_repeated(
    tmp_path: Path, file: Path, store_proxy: StoreProxy, head: StoreFault, get: StoreFault
) -> None:
    faults = Faults(store_proxy).on("HeadObject", head, times=2).on("GetObject", get, times=2)
    done = await verify(tmp_path, file)
    faults.lift()
    assert done.code == 0, done.output
    assert done.out.startswith("4 equal; 12.0 MiB read in "), done.output
    assert store_proxy.counts["GetObject"] == 4 + 2
    assert store_proxy.counts["HeadObject"] >= 4 + 2


@pytest.mark.parametrize(
    ("word", "most"), [(unavailable, 4 * 5), (denied, 4)], ids=["an outage", "no repeat would help"]
)
async def test_repeats_come_to_an_end(
    tmp_path: Path, file: Path, store_proxy: StoreProxy, word: StoreFault, most: int
) -> None:
    faults = Faults(store_proxy).on("HeadObject", word, times=ALWAYS)
    done = await verify(tmp_path, file)
    faults.lift()
    assert (done.code, done.out.count("failed s3://")) == (1, 4), done.output
    assert store_proxy.counts["HeadObject"] <= most


async def test_what_was_never_mirrored_and_what_cannot_be_read(
    tmp_path: Path, file: Path, bucket: str, origin: Origin
) -> None:
    text = content_of(file)
    more = tmp_path / "more"
    more.mkdir()
    (more / "a.yaml").write_text(text.split("mirrors:")[0] + f"mirrors:\n  {origin.url('/x')}: s3://{bucket}/new\n")
    (more / "b.yaml").write_text("mirrors: [{}]\n")
    done = await verify(tmp_path, more)
    assert done.code == 78, done.output
    assert f"differs s3://{bucket}/new: not mirrored yet" in done.out
    assert "invalid " in done.out
    dead = text.replace("endpoint_url: http://127.0.0.1:", "endpoint_url: http://127.0.0.2:")
    (more / "b.yaml").unlink()
    (more / "a.yaml").write_text(dead)
    assert (await verify(tmp_path, more, "--only", "small")).code == 1
