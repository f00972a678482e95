"""The real `mirrord run` reports the end of every transfer, for any cause, and then shows it as running no longer."""

import os
import resource
from pathlib import Path
from typing import Any

from mirrord.units import KiB, MiB
from tests.support.command import REPOSITORY
from tests.support.daemon import DEBUG, Daemon, one_end_for_each_start, running, store_section
from tests.support.gate import Gate
from tests.support.origin import Generated, Origin
from tests.support.proxy import StoreProxy
from tests.support.weed import Server

GOES = """
import os
from contextlib import suppress
from mirrord.sources.file import FileSource

opened = FileSource.open

def open_late(self, *given, **more):
    if "goes" in self._path:
        with suppress(FileNotFoundError):
            os.unlink(self._path)
    return opened(self, *given, **more)

FileSource.open = open_late
"""
"""Each file with `goes` in its path is deleted before it is opened: after the start of its transfer."""


async def nothing_runs(daemon: Daemon) -> bool:
    status = await daemon.api("status")
    in_flight = (await daemon.metrics())["mirrord_transfers_in_flight"]
    return not status["running"] and "Transferring" not in status["totals"] and in_flight == 0


async def test_files_deleted_between_the_start_and_the_open(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any
) -> None:
    inbox, patch = tmp_path / "inbox", tmp_path / "patch"
    inbox.mkdir()
    patch.mkdir()
    (patch / "sitecustomize.py").write_text(GOES)
    (inbox / "goes.csv").write_bytes(bytes(100 * KiB))  # too large to be read ahead
    (inbox / "goes.bin").write_bytes(bytes(17 * MiB))
    (inbox / "stays.csv").write_bytes(b"y")
    entry = f"{{path: inbox, to: 's3://{bucket}/', settle: 50ms, rescan: 500ms}}"
    file = tmp_path / "m.yaml"
    file.write_text(f"{store_section(weed)}folders: [{entry}]\n")
    async with running(tmp_path, *DEBUG, str(file), env={"PYTHONPATH": f"{patch}{os.pathsep}{REPOSITORY}"}) as daemon:
        for key in ("goes.csv", "goes.bin"):
            line = await daemon.log("transfer.interrupted", key=key)
            assert line["outcome"] == "parts dropped"
        await daemon.synced("stays.csv")
        await daemon.wait_for(lambda: nothing_runs(daemon))
        assert one_end_for_each_start(daemon)
        assert not daemon.logged("transfer.failed")
    assert [one["Key"] for one in s3_client.list_objects_v2(Bucket=bucket)["Contents"]] == ["stays.csv"]


async def test_a_journal_that_cannot_be_written_during_a_transfer(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, origin: Origin
) -> None:
    url = origin.publish("/large", Generated(24 * MiB, seed=5))
    file = tmp_path / "m.yaml"
    file.write_text(f"{store_section(store_proxy.server)}mirrors:\n  {url}: s3://{bucket}/large\n")
    gate = Gate.before(store_proxy, "UploadPart")
    async with running(tmp_path, *DEBUG, str(file)) as daemon:
        await gate.reached()
        assert (await daemon.api("status"))["running"]
        before = resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (0, before[1]))
        gate.open()
        failed = await daemon.log("transfer.failed")
        assert (failed["reason"], failed["kind"]) == ("JournalUnavailable", "multipart")
        await daemon.wait_for(lambda: nothing_runs(daemon))
        status, why = await daemon.ask("/readyz")
        assert (status, "journal" in why) == (503, True)

        resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, before)
        await daemon.synced("large")
        await daemon.wait_for(lambda: nothing_runs(daemon))
        assert one_end_for_each_start(daemon)
