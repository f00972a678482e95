"""`make bench`: compares mirrord with rclone and s5cmd on this machine and one SeaweedFS; medians and spread.

Each tool runs as a separate process with its default settings, into a new bucket whose objects are counted afterwards.
CPU is that of the tool alone, from wait4(2); store and origin use the same cores. Results: JSON below
tests/bench/results.
"""

import argparse
import asyncio
import json
import os
import random
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from aiohttp import web

from mirrord.s3.embedded.weed import HOST, WeedProcess, free_port, killed_with_parent
from mirrord.units import GiB, KiB, MiB
from tests.support.measuring import machine, report
from tests.support.weed import Server, fresh_bucket

REPEATS = 5


@dataclass(frozen=True, slots=True)
class Run:
    """The cost of one run: wall-clock seconds, CPU seconds (user and system), peak resident bytes."""

    wall: float
    cpu: float
    peak: int


@dataclass(frozen=True, slots=True)
class Bench:
    """The store and a directory `work` for temporary files."""

    server: Server
    work: Path

    @property
    def keys(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": self.server.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.server.secret_access_key,
            "AWS_REGION": "us-east-1",
        }


Command = tuple[Sequence[str], Mapping[str, str]]
Tool = Callable[[Bench, str, str], Command]
"""(bench, source, bucket) -> arguments and environment."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """`source` is a directory or a URL; at the end the bucket must have `count` objects of `size` bytes in total."""

    name: str
    source: str
    count: int
    size: int
    tools: Mapping[str, Tool]


# ── the tools ─────────────────────────────────────────────────────────────────────────────────────
def mirrord_folder(bench: Bench, source: str, bucket: str) -> Command:
    return _sync(bench, bucket, {"folders": [{"path": source, "to": f"s3://{bucket}/", "settle": "10ms"}]})


def mirrord_url(bench: Bench, source: str, bucket: str) -> Command:
    return _sync(bench, bucket, {"mirrors": {source: f"s3://{bucket}/"}})


def _sync(bench: Bench, bucket: str, entries: Mapping[str, Any]) -> Command:
    store = {"provider": "seaweedfs", "endpoint_url": bench.server.endpoint_url, "region": "us-east-1"}
    file = bench.work / f"{bucket}.yaml"
    file.write_text(json.dumps({"stores": {"default": store}, **entries}))
    state = str(bench.work / f"state-{bucket}")
    return [sys.executable, "-m", "mirrord", "sync", "--state", state, "--log-level", "error", str(file)], bench.keys


def rclone_folder(bench: Bench, source: str, bucket: str) -> Command:
    return _rclone(bench, "copy", "--transfers=16", source, f"store:{bucket}")


def rclone_url(bench: Bench, source: str, bucket: str) -> Command:
    return _rclone(bench, "copyurl", "--auto-filename", source, f"store:{bucket}")


def _rclone(bench: Bench, *arguments: str) -> Command:
    store = {"TYPE": "s3", "PROVIDER": "SeaweedFS", "ENV_AUTH": "true", "ENDPOINT": bench.server.endpoint_url}
    named = {f"RCLONE_CONFIG_STORE_{name}": value for name, value in store.items()}
    return [program("rclone"), "--config=/dev/null", *arguments], {**named, **bench.keys}


def s5cmd_folder(bench: Bench, source: str, bucket: str) -> Command:
    endpoint = f"--endpoint-url={bench.server.endpoint_url}"
    return [program("s5cmd"), "--log=error", endpoint, "cp", f"{source}/", f"s3://{bucket}/"], bench.keys


def program(name: str) -> str:
    """The path of a program: next to this Python, else on PATH; empty if it is missing."""
    return shutil.which(name, path=sysconfig.get_path("scripts")) or shutil.which(name) or ""


# ── one run ───────────────────────────────────────────────────────────────────────────────────────
def run(bench: Bench, scenario: Scenario, tool: Tool) -> Run:
    """One run into a new bucket, which is verified and deleted. Raises CalledProcessError, AssertionError."""
    client = bench.server.client()
    bucket = fresh_bucket(client)
    try:
        arguments, environ = tool(bench, scenario.source, bucket)
        cost = timed(arguments, {"PATH": os.environ["PATH"], "HOME": str(bench.work), **environ})
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        sizes = [one["Size"] for page in pages for one in page.get("Contents", [])]
        assert (len(sizes), sum(sizes)) == (scenario.count, scenario.size), (arguments[0], len(sizes), sum(sizes))
        return cost
    finally:
        client.delete_bucket(Bucket=bucket)
        client.close()


def timed(arguments: Sequence[str], environ: Mapping[str, str]) -> Run:
    began = time.monotonic()
    process = subprocess.Popen(arguments, env=dict(environ), stdout=subprocess.DEVNULL, preexec_fn=killed_with_parent())
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, list(arguments))
    return Run(time.monotonic() - began, used.ru_utime + used.ru_stime, used.ru_maxrss * KiB)


def measured(bench: Bench, scenario: Scenario, repeats: int) -> dict[str, list[Run]]:
    """Run every tool once without measuring, then all tools `repeats` times, each time in a random order."""
    runs: dict[str, list[Run]] = {name: [] for name in scenario.tools}
    for turn in range(repeats + 1):
        for name in random.sample(list(scenario.tools), len(scenario.tools)):
            cost = run(bench, scenario, scenario.tools[name])
            if turn:
                runs[name].append(cost)
                print(f"  {scenario.name} {turn}/{repeats} {name}: {cost.wall:.2f} s, CPU {cost.cpu:.2f} s", flush=True)
    return runs


# ── stores and sources ────────────────────────────────────────────────────────────────────────────
@contextmanager
def store(directory: Path) -> Iterator[Server]:
    port = free_port()
    server = Server(f"http://{HOST}:{port}")
    process = WeedProcess(directory / "objects", directory / "weed.log", port, server.credentials)
    process.start()
    try:
        server.wait_until_ready(lambda: process.running)
        yield server
    finally:
        process.kill()


def many_files(directory: Path, count: int, size: int) -> Path:
    directory.mkdir()
    for number in range(count):
        (directory / f"{number:05}").write_bytes(random.randbytes(size))
    return directory


def large_file(path: Path, size: int) -> Path:
    with open(path, "wb") as file:
        for _ in range(size // MiB):
            file.write(random.randbytes(MiB))
    return path


@contextmanager
def origin(directory: Path) -> Iterator[str]:
    """A web server for a directory, in a separate process; sendfile(2), ETag and ranges by aiohttp."""
    arguments = [sys.executable, "-m", "tests.bench.run", "--serve", str(directory)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, preexec_fn=killed_with_parent()) as process:
        try:
            assert process.stdout
            yield f"http://{HOST}:{int(process.stdout.readline())}"
        finally:
            process.kill()


async def serve(directory: str) -> None:
    app = web.Application()
    app.router.add_static("/", directory)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


# ── all runs ──────────────────────────────────────────────────────────────────────────────────────
def scenarios(place: Path, life: ExitStack, wanted: str, size: int) -> Iterator[Scenario]:
    if wanted in ("all", "folder"):
        files = many_files(place / "files", 2000, 4 * KiB)
        tools = {"mirrord": mirrord_folder, "rclone": rclone_folder, "s5cmd": s5cmd_folder}
        tools = {name: tool for name, tool in tools.items() if name == "mirrord" or program(name)}
        yield Scenario("folder-2000x4KiB", str(files), 2000, 2000 * 4 * KiB, tools)
    if wanted in ("all", "url"):
        (place / "www").mkdir()
        large_file(place / "www" / "large.bin", size)
        url = life.enter_context(origin(place / "www"))
        tools = {"mirrord": mirrord_url, "rclone": rclone_url}  # s5cmd reads no URLs
        yield Scenario(f"url-{size // MiB}MiB", f"{url}/large.bin", 1, size, tools)


def table(scenario: Scenario, runs: Mapping[str, Sequence[Run]]) -> dict[str, Any]:
    """Print a line for each tool; its numbers by tool."""
    numbers: dict[str, Any] = {}
    print(f"\n{scenario.name}\n{'':10}{'wall s':>8}{'from':>8}{'to':>8}{'CPU s':>8}{'peak MiB':>10}")
    for name, costs in runs.items():
        wall = [cost.wall for cost in costs]
        line = {
            "wall_s": round(median(wall), 2),
            "wall_min_s": round(min(wall), 2),
            "wall_max_s": round(max(wall), 2),
            "cpu_s": round(median(cost.cpu for cost in costs), 2),
            "peak_mib": round(max(cost.peak for cost in costs) / MiB),
        }
        print(f"{name:10}" + "".join(f"{value:>8}" for value in list(line.values())[:4]) + f"{line['peak_mib']:>10}")
        numbers[name] = {**line, "runs": len(costs)}
    return numbers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=["all", "folder", "url"], default="all")
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--url-mib", type=int, default=GiB // MiB, help="size of the URL's file")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        asyncio.run(serve(given.serve))
        return
    print(f"machine: {json.dumps(machine())}")
    print("peers: " + ", ".join(f"{name} {'found' if program(name) else 'missing'}" for name in ("rclone", "s5cmd")))
    with ExitStack() as life:
        place = Path(life.enter_context(tempfile.TemporaryDirectory(prefix="mirrord-bench-")))
        (place / "work").mkdir()
        bench = Bench(life.enter_context(store(place)), place / "work")
        for scenario in scenarios(place, life, given.only, given.url_mib * MiB):
            numbers = table(scenario, measured(bench, scenario, given.repeats))
            report(f"bench-{scenario.name}", numbers)


if __name__ == "__main__":
    main()
