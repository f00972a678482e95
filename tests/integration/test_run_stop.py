"""`mirrord run` that is stopped: what is finished, cancelled or left for the next start, and how long it takes."""

import signal
import time
from pathlib import Path
from typing import Any

import pytest

from mirrord.units import MiB
from tests.support.daemon import DEBUG, Daemon, one_end_for_each_start, running, started, store_section
from tests.support.gate import Gate
from tests.support.origin import Generated, Origin, without
from tests.support.proxy import StoreProxy
from tests.support.saving import mirrors
from tests.support.stored import keys_in, uploads
from tests.support.weed import Server

GRACE = 3.0
OVERHEAD = 20.0
"""Seconds after the grace within which the process must end on a busy machine; a store could delay it for minutes."""


def manifest(home: Path, server: Server, body: str, *, grace: float = GRACE) -> str:
    file = home / "m.yaml"
    file.write_text(f"daemon: {{shutdown_grace: {grace:g}s}}\n" + store_section(server) + body)
    return str(file)


async def stopped_within(daemon: Daemon, seconds: float) -> int:
    began = time.monotonic()
    code = await daemon.stop()
    assert time.monotonic() - began < seconds, daemon.output
    return code


# ── SIGTERM ───────────────────────────────────────────────────────────────────────────────────────
async def test_what_runs_at_sigterm_may_end_within_the_grace_and_nothing_new_begins(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin
) -> None:
    content = Generated(40 * MiB, seed=1)
    origin.publish("/large", content)
    file = manifest(tmp_path, store_proxy.server, mirrors(origin, bucket, "large"), grace=20)
    gate = Gate.before(store_proxy, "UploadPart", after=2)
    async with running(tmp_path, file, *DEBUG) as daemon:
        await gate.reached()
        daemon.signal(signal.SIGTERM)
        await daemon.log("daemon.stopping")
        assert await daemon.ask("/readyz") == (503, "stopping\n")
        assert (await daemon.ask("/livez"))[0] == 200
        assert (await daemon.api("status"))["not_ready"] == "stopping"
        origin.publish("/late", b"late")
        manifest(tmp_path, store_proxy.server, mirrors(origin, bucket, "large", "late"), grace=20)
        await daemon.wait_for(lambda: len(daemon.logged("manifest.loaded")) == 2)
        gate.open()
        assert await daemon.ended() == 0
        assert daemon.logged("transfer.completed", key="large")
        assert daemon.lines[-1]["event"] == "daemon.stopped"
        assert one_end_for_each_start(daemon)
        assert not [line for line in daemon.lines if line["level"] == "error"], daemon.output
        assert not daemon.logged("transfer.started", key="late")
    assert (uploads(s3_client, bucket), keys_in(s3_client, bucket)) == ([], {"large"})


async def test_a_multipart_upload_cut_short_by_sigterm_is_gone_on_with(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin
) -> None:
    size = 64 * MiB
    origin.publish("/large", Generated(size, seed=2))
    file = manifest(tmp_path, store_proxy.server, mirrors(origin, bucket, "large"))
    gate = Gate.before(store_proxy, "UploadPart", after=3)
    async with running(tmp_path, file, *DEBUG) as daemon:
        await gate.reached()

        async def recorded() -> bool:
            sent = [call.sent for call in store_proxy.calls if call.operation == "UploadPart" and call.status == 200]
            (run,) = (await daemon.api("status"))["running"]
            return len(sent) == 3 and run["bytes_sent"] == sum(sent)

        await daemon.wait_for(recorded)
        assert await stopped_within(daemon, GRACE + OVERHEAD) == 0
        (line,) = daemon.logged("transfer.interrupted")
        assert line["outcome"] == "parts kept"
        assert one_end_for_each_start(daemon)
        assert daemon.lines[-1]["event"] == "daemon.stopped"
    assert uploads(s3_client, bucket) == ["large"]
    assert keys_in(s3_client, bucket) == set()
    gate.open()
    before = origin.body_bytes()
    async with running(tmp_path, file, *DEBUG) as daemon:
        await daemon.synced("large")
        assert (await daemon.log("transfer.resumed", key="large"))["parts"] == 3
        assert daemon.logged("transfer.completed", key="large", transfer_id=line["transfer_id"])
    assert origin.body_bytes() - before < size
    assert s3_client.head_object(Bucket=bucket, Key="large")["ContentLength"] == size
    assert uploads(s3_client, bucket) == []


async def test_an_upload_that_cannot_be_gone_on_with_is_removed_at_sigterm(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin
) -> None:
    origin.publish("/large", Generated(40 * MiB, seed=3))
    origin.behave("/large", without("ETag", "Last-Modified", "Accept-Ranges"))
    file = manifest(tmp_path, store_proxy.server, mirrors(origin, bucket, "large"))
    gate = Gate.before(store_proxy, "UploadPart", after=1)
    async with running(tmp_path, file, *DEBUG) as daemon:
        await gate.reached()
        assert await stopped_within(daemon, GRACE + OVERHEAD) == 0
        (line,) = daemon.logged("transfer.interrupted")
        assert line["outcome"] == "parts dropped"
        assert daemon.logged("upload.aborted", key="large")
        assert one_end_for_each_start(daemon)
    gate.open()
    assert uploads(s3_client, bucket) == []


@pytest.mark.parametrize(
    "operation",
    [
        "HeadObject",
        "PutObject",
        "CreateMultipartUpload",
        "UploadPart",
        "CompleteMultipartUpload",
        "AbortMultipartUpload",
    ],
)
async def test_a_store_that_answers_nothing_holds_up_no_end(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin, operation: str
) -> None:
    origin.publish("/small", b"small")
    origin.publish("/large", Generated(24 * MiB, seed=4))
    origin.behave("/large", without("ETag", "Last-Modified", "Accept-Ranges"))  # not resumable: its upload is aborted
    file = manifest(tmp_path, store_proxy.server, mirrors(origin, bucket, "small", "large"), grace=1)
    stalled = {operation, "AbortMultipartUpload"} | ({"UploadPart"} if operation == "AbortMultipartUpload" else set())
    gate = Gate.before(store_proxy, *stalled)
    async with running(tmp_path, file, *DEBUG) as daemon:
        await gate.reached()
        assert await stopped_within(daemon, GRACE + OVERHEAD) == 0
        assert daemon.lines[-1]["event"] == "daemon.stopped"
        assert one_end_for_each_start(daemon), daemon.output
        assert not daemon.noise, daemon.output
    gate.open()
    await store_proxy.idle()
    async with running(tmp_path, file) as daemon:
        await daemon.synced("small", "large")
    # An upload whose completion was requested may still be completed; an abort at this store could delete the object.
    assert uploads(s3_client, bucket) == (["large"] if operation == "CompleteMultipartUpload" else [])


async def test_a_second_sigterm_ends_it_at_once(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin
) -> None:
    content = Generated(40 * MiB, seed=5)
    origin.publish("/large", content)
    file = manifest(tmp_path, store_proxy.server, mirrors(origin, bucket, "large"), grace=60)
    gate = Gate.before(store_proxy, "UploadPart", after=2)
    async with running(tmp_path, file) as daemon:
        await gate.reached()
        daemon.signal(signal.SIGTERM)
        await daemon.log("daemon.stopping")
        assert await stopped_within(daemon, OVERHEAD) == -signal.SIGTERM
    gate.open()
    async with running(tmp_path, file) as daemon:
        await daemon.synced("large")
    assert s3_client.head_object(Bucket=bucket, Key="large")["ContentLength"] == 40 * MiB
    assert uploads(s3_client, bucket) == []


async def test_a_sigterm_during_the_start_ends_it_too(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    async with started(tmp_path, "conf") as daemon:
        state = tmp_path / "state" / "mirrord" / "state.db"
        await daemon.wait_for(state.exists)
        assert await daemon.stop() == 0
        assert not daemon.noise, daemon.output
