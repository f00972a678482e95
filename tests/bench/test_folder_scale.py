"""Measures a watched folder of very many files: scans of unchanged files, and a first start with new files only.

`pytest -s tests/bench/test_folder_scale.py`, on an otherwise idle machine. 200,000 files, with MIRRORD_SOAK=1 also a
million, or MIRRORD_BENCH_FILES files; both with 1,000 files a directory and with all in one directory. For unchanged
files the test fills the journal as an earlier run would. With new files it measures until NEW_SENT of them are sent.
Results are JSON with facts about the machine, see `tests.support.measuring`.
"""

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mirrord.declared import FolderSpec, FolderTarget
from mirrord.journal.sqlite import SqliteJournal
from mirrord.model import FileIdentity, Outcome, Record, Revision, State, fingerprint
from mirrord.planning.decisions.decide import options_digest
from mirrord.planning.items.bind import item_of
from mirrord.reconcile.records import with_outcome
from tests.bench.stall import asked
from tests.support.daemon import Daemon, Line, running
from tests.support.discarding import Discarding
from tests.support.inbox import manifest
from tests.support.measuring import SOAK, mib, quantile, report, usage
from tests.support.records import with_fields
from tests.support.weed import Server

FILES = int(os.environ.get("MIRRORD_BENCH_FILES", 0))
SIZES = [FILES] if FILES else [200_000, *([1_000_000] if SOAK else [])]
IN_A_DIRECTORY = 1000
NEW_SENT = 20_000
RESCANS = 2

MOST_STALL = 0.1
MOST_MEMORY = 250 * 1024 * 1024


# ── a folder whose files are all mirrored ─────────────────────────────────────────────────────────
def made(root: Path, files: int, shape: str) -> Iterator[str]:
    """Create this many empty files; yields their names."""
    root.mkdir(parents=True)
    for number in range(files):
        directory = "" if shape == "flat" else f"d{number // IN_A_DIRECTORY:04}/"
        if directory and number % IN_A_DIRECTORY == 0:
            (root / directory).mkdir()
        name = f"{directory}f{number:07}.csv"
        os.close(os.open(f"{root}/{name}", os.O_CREAT | os.O_WRONLY))
        yield name


def mirrored(spec: FolderSpec, name: str, now: float) -> Record:
    """The journal's record of a mirrored file."""
    found = FileIdentity.of(os.stat(f"{spec.path}/{name}"))
    item = item_of(spec, name, found.mtime_ns / 1e9)
    return with_fields(
        with_outcome(item, None, Outcome(state=State.SYNCED), now),
        revision=Revision(address=fingerprint(item.origin.address), length=found.size, file=found),
        options_digest=options_digest(item.options.object),
        transfer_id="0" * 32,
        etag='"d41d8cd98f00b204e9800998ecf8427e"',
        size=found.size,
        synced_at=now,
    )


async def filled(home: Path, spec: FolderSpec, names: Iterator[str]) -> None:
    """Write a journal with the records of these files."""
    now = time.time()
    async with SqliteJournal(home / "state" / "mirrord" / "state.db") as journal:
        batch: list[Record] = []
        for name in names:
            batch.append(mirrored(spec, name, now))
            if len(batch) == 5000:
                await journal.save_all(batch)
                batch = []
        await journal.save_all(batch)


def spec_of(root: Path, server: Server, bucket: str) -> FolderSpec:
    return FolderSpec(
        entry=str(root),
        path=str(root),
        target=FolderTarget(
            store="default", endpoint=server.options().endpoint, provider=server.provider, bucket=bucket
        ),
    )


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("shape", ["tree", "flat"])
@pytest.mark.parametrize("files", SIZES)
async def test_a_rescan_of_unchanged_files(files: int, shape: str, tmp_path: Path, weed: Server, bucket: str) -> None:
    await filled(tmp_path, spec_of(tmp_path / "inbox", weed, bucket), made(tmp_path / "inbox", files, shape))
    file = tmp_path / "m.yaml"
    file.write_text(manifest(weed, tmp_path / "inbox", bucket, rescan="1s", settle="2s"))
    took: list[float] = []
    async with running(tmp_path, "--log-level", "debug", str(file)) as daemon:
        ready = time.monotonic()
        async with asked(daemon, took):
            scans = [await _scan(daemon, 0)]
            first = time.monotonic() - ready
            seen_first, cpu = len(took), usage(daemon.process.pid).cpu
            scans += [await _scan(daemon, number) for number in range(1, RESCANS + 1)]
        used = usage(daemon.process.pid)
        sent = len(daemon.logged("transfer.started")) + len(daemon.logged("transfer.completed"))
    numbers = {
        "files": files,
        "start_to_first_scan_s": round(first, 2),
        "rescan_s": [round(scan["duration_ms"] / 1000, 2) for scan in scans],
        "cpu_us_a_file": round((used.cpu - cpu) / RESCANS / files * 1e6, 1),
        "peak_mib": mib(used.peak),
        "livez_max_ms_first_scan": _ms(max(took[:seen_first])),
        "livez_max_ms_rescans": _ms(max(took[seen_first:])),
        "livez_p99_ms": _ms(quantile(took, 0.99)),
    }
    report(f"folder-rescan-{shape}-{files}", numbers)
    assert [scan["files"] for scan in scans] == [files] * len(scans)
    assert sent == 0, "an unchanged file was sent"
    assert used.peak < MOST_MEMORY
    assert max(took) < MOST_STALL


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("files", SIZES)
async def test_a_first_start_with_nothing_but_new_files(files: int, tmp_path: Path, discarding: Discarding) -> None:
    """Memory stays bounded while most files are not sent yet: files without a record must not be kept in memory."""
    for _ in made(tmp_path / "inbox", files, "tree"):
        pass
    file = tmp_path / "m.yaml"
    file.write_text(manifest(discarding.server, tmp_path / "inbox", "bucket", rescan="60s", settle="2s"))
    took: list[float] = []

    async def enough() -> bool:
        return (await asyncio.to_thread(lambda: discarding.calls))["PutObject"] >= NEW_SENT

    async with running(tmp_path, str(file)) as daemon:
        began = time.monotonic()
        async with asked(daemon, took):
            await daemon.wait_for(enough, 1800, f"{NEW_SENT} are sent")
        seconds, used = time.monotonic() - began, usage(daemon.process.pid)
    numbers = {
        "files": files,
        "sent": discarding.calls["PutObject"],
        "seconds": round(seconds, 1),
        "cpu_s": round(used.cpu, 1),
        "peak_mib": mib(used.peak),
        "livez_max_ms": _ms(max(took)),
        "livez_p99_ms": _ms(quantile(took, 0.99)),
    }
    report(f"folder-new-{files}", numbers)
    assert used.peak < MOST_MEMORY
    assert max(took) < MOST_STALL


async def _scan(daemon: Daemon, number: int) -> Line:
    """The log line of the complete scan with this number, from 0."""
    await daemon.wait_for(lambda: len(daemon.logged("folder.rescanned")) > number, 900, f"scan {number}")
    return daemon.logged("folder.rescanned")[number]


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
