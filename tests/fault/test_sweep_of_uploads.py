"""Uploads that kill -9 leaves between Create and the journal, at a real store: the next program aborts only these."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mirrord.units import MiB
from tests.support.daemon import running
from tests.support.killing import HeldCalls, kill_at, open_uploads
from tests.support.origin import Generated, Origin
from tests.support.proxy import StoreProxy
from tests.support.syncing import events, manifest, sync

CONTENT = Generated(6 * MiB, seed=1)
IN_PARTS = "defaults: {upload: {part_size: 5MiB, multipart_threshold: 5MiB}}\n"


@pytest.fixture
async def killed(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin
) -> tuple[Path, str]:
    """The manifest of a sync that was killed after the store created its upload, and the upload's id."""
    url = origin.publish("/large.bin", CONTENT)
    file = manifest(tmp_path, store_proxy.server, f"{IN_PARTS}mirrors:\n  {url}: s3://{bucket}/large.bin\n")
    assert await kill_at(HeldCalls("CreateMultipartUpload", answered=True), store_proxy, tmp_path, file)
    (upload,) = open_uploads(s3_client, bucket)
    return file, upload


async def test_the_daemon_sweeps_at_its_start(
    tmp_path: Path, bucket: str, s3_client: Any, killed: tuple[Path, str]
) -> None:
    file, orphan = killed
    async with running(tmp_path, str(file)) as daemon:
        await daemon.log("upload.aborted", upload_id=orphan)
        await daemon.synced("large.bin")
    assert open_uploads(s3_client, bucket) == []


async def test_it_is_swept_although_its_entry_is_not_in_this_run(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin, killed: tuple[Path, str]
) -> None:
    _, orphan = killed
    url = origin.publish("/other", b"other")
    other = manifest(tmp_path, store_proxy.server, f"mirrors:\n  {url}: s3://{bucket}/other\n", name="other.yaml")
    done = await sync(tmp_path, other)
    assert done.code == 0, done.output
    assert [line["upload_id"] for line in events(done, "upload.aborted")] == [orphan]
    assert open_uploads(s3_client, bucket) == []


async def test_an_upload_that_began_outside_the_intent_is_reported_once_and_stays(
    tmp_path: Path, bucket: str, s3_client: Any, killed: tuple[Path, str]
) -> None:
    """With an intent that is two hours older the upload counts as that of another program."""
    file, foreign = killed
    (state,) = (tmp_path / "state").rglob("state.db")
    journal = sqlite3.connect(state)
    with journal:
        journal.execute("UPDATE transfers SET started = started - 7200, settled = started - 7000")
    journal.close()
    done = await sync(tmp_path, file)
    assert done.code == 0, done.output
    assert open_uploads(s3_client, bucket) == [foreign]
    assert done.err.count(foreign) == 1
    assert "is not ours, and is left alone" in done.err
    s3_client.abort_multipart_upload(Bucket=bucket, Key="large.bin", UploadId=foreign)


async def test_an_upload_at_another_key_is_nothing_to_us(
    tmp_path: Path, bucket: str, s3_client: Any, killed: tuple[Path, str]
) -> None:
    file, _ = killed
    begin: Callable[..., Any] = s3_client.create_multipart_upload
    near = begin(Bucket=bucket, Key="large.bin.old")["UploadId"]
    done = await sync(tmp_path, file)
    assert open_uploads(s3_client, bucket) == [near]
    assert near not in done.err
    s3_client.abort_multipart_upload(Bucket=bucket, Key="large.bin.old", UploadId=near)
