"""A store that loses CompleteMultipartUpload's answer and then refuses HEAD: no upload is aborted (guarantee 5)."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from mirrord.client import MultipartUploader, S3Client
from mirrord.errors import OutcomeUnknown
from mirrord.planning.transfers.sweep import COMPLETE_WINDOW
from mirrord.units import MiB
from tests.support import store_faults as faults
from tests.support.command import mirrord
from tests.support.daemon import running, store_section
from tests.support.killing import HeldCalls, kill_at, open_uploads
from tests.support.origin import Generated, Origin
from tests.support.proxy import StoreProxy
from tests.support.store_faults import ALWAYS, Faults, StoreFault
from tests.support.syncing import digest_of, events, manifest, sync

CONTENT = Generated(6 * MiB, seed=6)
PARTS = "upload: {part_size: 5MiB, multipart_threshold: 5MiB}"
COMPLETE, ABORT = "CompleteMultipartUpload", "AbortMultipartUpload"
LOST = pytest.mark.parametrize("complete", [faults.answer_lost, faults.not_sent], ids=str)


@pytest.fixture
def file(tmp_path: Path, store_proxy: StoreProxy, bucket: str, origin: Origin) -> Path:
    url = origin.publish("/large.bin", CONTENT)
    body = f"mirrors:\n  - {{url: '{url}', to: 's3://{bucket}/large.bin', {PARTS}}}\n"
    return manifest(tmp_path, store_proxy.server, body)


@pytest.fixture
def other(tmp_path: Path, store_proxy: StoreProxy, bucket: str, origin: Origin) -> Path:
    """A manifest without the entry."""
    return manifest(
        tmp_path, store_proxy.server, f"mirrors:\n  {origin.publish('/o', b'o')}: s3://{bucket}/o\n", name="other.yaml"
    )


def silenced(proxy: StoreProxy, complete: StoreFault) -> Faults:
    """The completion gets this fault, and every later HEAD is refused."""
    return Faults(proxy).on(COMPLETE, complete).on("HeadObject", faults.denied, skip=1, times=ALWAYS)


def set_aside(file: Path) -> Path:
    return file.rename(file.with_suffix(".away"))


def age(home: Path, seconds: float) -> None:
    """Make the time of the completion request earlier."""
    (state,) = (home / "state").rglob("state.db")
    journal = sqlite3.connect(state)
    with journal:
        journal.execute("UPDATE transfers SET complete_requested = complete_requested - ?", (seconds,))
    journal.close()


@LOST
async def test_sync_leaves_it_open_and_reports_it_and_the_next_one_resolves_it(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, file: Path, complete: StoreFault
) -> None:
    planted = silenced(store_proxy, complete)
    done = await sync(tmp_path, file)
    assert done.code == 1, done.output
    assert store_proxy.counts[ABORT] == 0
    assert "the outcome is unknown; the next start settles it" in done.err

    planted.lift()
    store_proxy.clear()
    done = await sync(tmp_path, file)
    assert done.code == 0, done.output
    assert digest_of(s3_client, bucket, "large.bin") == CONTENT.sha256()
    assert store_proxy.counts[ABORT] == 0
    if complete is faults.answer_lost:
        assert store_proxy.writes == 0, "the upload made the object, and nothing is sent again"


async def test_an_upload_without_an_object_is_swept_by_a_later_start_and_not_before(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, file: Path, other: Path
) -> None:
    planted = silenced(store_proxy, faults.not_sent)
    await sync(tmp_path, file)
    (upload,) = open_uploads(s3_client, bucket)
    planted.lift()
    done = await sync(tmp_path, other)
    assert (done.code, open_uploads(s3_client, bucket)) == (0, [upload]), done.output
    assert upload in done.err

    age(tmp_path, COMPLETE_WINDOW)
    done = await sync(tmp_path, other)
    assert (done.code, open_uploads(s3_client, bucket)) == (0, []), done.output
    assert [line["upload_id"] for line in events(done, "upload.aborted")] == [upload]


@LOST
async def test_copy_leaves_it_open_and_reports_it(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, origin: Origin, complete: StoreFault
) -> None:
    config = tmp_path / "stores.yaml"
    config.write_text(store_section(store_proxy.server))
    large = Generated(17 * MiB, seed=8)  # the shortest that `copy` sends in parts
    silenced(store_proxy, complete)
    url = origin.publish("/copied.bin", large)
    done = await mirrord("copy", url, f"s3://{bucket}/copied.bin", "--config", str(config), home=tmp_path)
    assert done.code == 1, done.output
    assert store_proxy.counts[COMPLETE] == 1
    assert store_proxy.counts[ABORT] == 0
    assert "is left open" in done.err


@LOST
@pytest.mark.parametrize("edit", ["leaves", "stays"])
async def test_the_daemon_aborts_nothing_even_if_the_item_is_removed(
    tmp_path: Path,
    store_proxy: StoreProxy,
    bucket: str,
    s3_client: Any,
    file: Path,
    other: Path,
    complete: StoreFault,
    edit: str,
) -> None:
    planted = silenced(store_proxy, complete)
    away = set_aside(other)
    async with running(tmp_path, str(tmp_path)) as daemon:
        await daemon.log("item.blocked")
        if edit == "leaves":
            away.replace(file)
            await daemon.log("manifest.loaded", since=daemon.mark)
        assert await daemon.stop() == 0
        assert "is left open" in daemon.output
    assert store_proxy.counts[ABORT] == 0
    planted.lift()
    if edit == "stays":
        async with running(tmp_path, str(tmp_path)) as daemon:
            await daemon.synced("large.bin")
        assert digest_of(s3_client, bucket, "large.bin") == CONTENT.sha256()
        assert store_proxy.counts[ABORT] == 0


@pytest.mark.parametrize("answered", [True, False])
async def test_killed_while_it_waited_for_the_completion_the_next_start_makes_a_head_first(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, file: Path, answered: bool
) -> None:
    assert await kill_at(HeldCalls(COMPLETE, answered=answered), store_proxy, tmp_path, file)
    store_proxy.clear()
    done = await sync(tmp_path, file)
    assert done.code == 0, done.output
    assert store_proxy.counts[ABORT] == 0
    assert store_proxy.counts["UploadPart"] == 0
    assert digest_of(s3_client, bucket, "large.bin") == CONTENT.sha256()


@LOST
@pytest.mark.parametrize("call", ["uploader", "stream_file"])
async def test_the_library_also_aborts_nothing(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, complete: StoreFault, call: str
) -> None:
    server = store_proxy.server
    client = S3Client(server.endpoint_url, server.access_key_id, server.secret_access_key)
    Faults(store_proxy).on(COMPLETE, complete).on("HeadObject", faults.denied, times=ALWAYS)
    path = tmp_path / "large.bin"
    path.write_bytes(b"x" * (17 * MiB))

    async def upload() -> None:
        if call == "stream_file":
            await client.stream_file(bucket, "key", path)
            return
        async with MultipartUploader(client=client, bucket=bucket, key="key") as uploader:
            await uploader.upload_part(b"x" * (6 * MiB))

    with pytest.raises(OutcomeUnknown) as raised:
        await upload()
    assert store_proxy.counts[ABORT] == 0
    assert any("is left open" in note for note in raised.value.__notes__)
