"""What one small file costs mirrord itself: from the scan of its folder to its durable record, without the S3 calls.

Runs `sync` over a real folder and a real journal with the command's log, on uvloop. The store is a stub that answers
each call at once as a correct store does. Prints JSON: CPU of the process (user and system, all threads) and wall time
for each file in microseconds, and the sizes of the journal's groups. With `--profile N` the N functions with the most
CPU of the whole process, from samples of the event loop's stack.

    python -m tests.bench.own_work --files 10000 --size 4096
"""

import argparse
import asyncio
import json
import os
import resource
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from statistics import mean
from time import perf_counter
from types import FrameType
from typing import Any

import uvloop

from mirrord.cli.show.progress import showing_progress
from mirrord.engine import s3_stores
from mirrord.journal.sqlite.database import SqliteDatabase
from mirrord.model import Checksum, Destination, ListedObject, ObjectOptions, ProviderName, StoredObject
from mirrord.programs.desired import read
from mirrord.programs.sync import sync
from mirrord.providers import Provider, profile
from mirrord.telemetry import logs

MANIFEST = """
stores: {{default: {{provider: seaweedfs, endpoint_url: "http://127.0.0.1:1", credentials: {{anonymous: true}}}}}}
folders: [{{path: "{folder}", to: "s3://bucket/in/", settle: 0s}}]
"""
ETAG = f'"{"0" * 32}"'


class StubStore:
    """The calls of `ports.ObjectStore` that a first pass makes. It keeps nothing."""

    provider: Provider = profile(ProviderName.SEAWEEDFS)

    async def head_object(self, at: Destination) -> StoredObject | None:
        await asyncio.sleep(0)
        return None

    async def put_object(
        self,
        at: Destination,
        body: memoryview,
        options: ObjectOptions,
        checksum: Checksum | None = None,
        *,
        if_none_match: bool = False,
    ) -> StoredObject:
        await asyncio.sleep(0)
        return StoredObject(size=len(body), etag=ETAG, checksum=checksum)

    async def list_objects(self, bucket: str, prefix: str) -> AsyncGenerator[Sequence[ListedObject]]:
        if bucket == prefix:
            yield ()

    async def has_bucket(self, bucket: str) -> bool:
        return True


@asynccontextmanager
async def stub(*_: object, **__: object) -> AsyncIterator[StubStore]:
    yield StubStore()


class GroupSizes:
    """Notes how many calls share one hop to the journal's thread."""

    def __init__(self) -> None:
        self.writes: list[int] = []
        self.reads: list[int] = []
        serve = SqliteDatabase._serve

        def noted(database: SqliteDatabase, writes: Any, reads: Any) -> Any:
            self.writes += [len(writes)] * bool(writes)
            self.reads += [len(reads)] * bool(reads)
            return serve(database, writes, reads)

        SqliteDatabase._serve = noted  # type: ignore[method-assign]

    def means(self) -> dict[str, float]:
        return {"writes": round(mean(self.writes or [0]), 1), "reads": round(mean(self.reads or [0]), 1)}


@contextmanager
def sampled(counts: Counter[str]) -> Iterator[None]:
    """Count the functions on the stack of the loop's thread each time that the process has used some CPU."""

    def tick(_signal: int, frame: FrameType | None) -> None:
        seen = set()
        while frame is not None:
            code = frame.f_code
            seen.add(f"{'/'.join(code.co_filename.rsplit('/', 3)[1:])}:{code.co_qualname}")
            frame = frame.f_back
        counts.update(seen)

    signal.signal(signal.SIGPROF, tick)
    signal.setitimer(signal.ITIMER_PROF, 0.001, 0.001)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def make_files(folder: Path, count: int, size: int) -> None:
    for number in range(count):
        directory = folder / f"{number // 1000:03d}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"file-{number:06d}.bin").write_bytes(os.urandom(size))


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measured(place: Path, files: int, number: int) -> dict[str, object]:
    """One first pass over the folder, with a new journal."""
    manifest, state = place / "m.yaml", place / f"state-{number}"
    manifest.write_text(MANIFEST.format(folder=place / "in"))
    environ = {"HOME": str(place)}
    desired = read([str(manifest)], environ)
    settings = desired.settings({"state": str(state)}, environ)
    groups = GroupSizes()
    before, began = cpu(), perf_counter()
    with (
        showing_progress(settings, verbose=False) as observer,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        report = runner.run(sync(desired, settings, observer))
    used, took = cpu() - before, perf_counter() - began
    if report.copied != files:
        raise SystemExit(f"{report.copied} of {files} files were copied")
    return {"cpu_us": round(used / files * 1e6), "wall_us": round(took / files * 1e6), "in_one_hop": groups.means()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=5_000)
    parser.add_argument("--size", type=int, default=4_096)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--profile", type=int, default=0, metavar="N")
    given = parser.parse_args()
    s3_stores.connected = stub  # type: ignore[assignment]
    logs._writer._descriptor = os.open(os.devnull, os.O_WRONLY)
    sys.setswitchinterval(0.001)  # as in the command
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="mirrord-own-work-") as name:
        make_files(Path(name) / "in", given.files, given.size)
        for number in range(given.repeats):
            if given.profile:
                with sampled(counts):
                    print(json.dumps(measured(Path(name), given.files, number)), flush=True)
            else:
                print(json.dumps(measured(Path(name), given.files, number)), flush=True)
    whole = max(counts.values(), default=1)
    for function, count in counts.most_common(given.profile):
        print(f"{count / whole:6.1%}  {function}")


if __name__ == "__main__":
    main()
