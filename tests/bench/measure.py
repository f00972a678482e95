"""Runs a scenario: its tools in turn, each in its own process, with their cost; and reads the objects back.

The order of the tools is reversed in every second round, so that neighbours alternate: A B, B A, A B, … One round
before them is not counted. Each run has a new bucket and a new state, except in scenarios with a first pass.
"""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from signal import SIGKILL
from typing import Any

from mirrord.units import MiB
from tests.bench import servers
from tests.bench.read_back import difference
from tests.bench.scenarios import Scenario, StoreKind
from tests.bench.tools import REPOSITORY, Job, Source, Tool, environment, peer_programs
from tests.support.inbox import emptied
from tests.support.weed import fresh_bucket

LAUNCH = Path(__file__).with_name("launch.py")


class ToolFailed(Exception):
    """The tool cannot do this, is not installed, ended with an error, or its result is not that of the scenario."""


@dataclass(frozen=True, slots=True)
class Run:
    """The cost of one run: seconds, peak resident bytes. `calls` and `received` (body bytes): counted at a sink."""

    wall_s: float
    cpu_s: float
    peak_bytes: int
    calls: dict[str, int] | None = None
    received: int | None = None


@dataclass(slots=True)
class Measured:
    """All runs of one tool. `error`: why there are no more."""

    tool: Tool
    command: str = ""
    runs: list[Run] | None = None
    error: str = ""


def measured(scenario: Scenario, place: Path, rounds: int, only: Sequence[Tool] | None = None) -> Sequence[Measured]:
    """Every tool of the scenario (or `only` these), `rounds` times and once before. Prints a line for each run."""
    with ExitStack() as life:
        store = life.enter_context(servers.store(scenario.store))
        source = made(scenario, place / "sources")
        if scenario.from_urls:
            tls = scenario.store is StoreKind.ECHO_TLS
            url = life.enter_context(servers.origin(source.directory, tls=tls))
            source = Source(source.directory, source.names, source.size, url)
        results = [Measured(tool, runs=[]) for tool in only or scenario.tools]
        course = Course(scenario, source, store, place)
        for turn in range(rounds + 1):
            for result in results[:: -1 if turn % 2 else 1]:
                course.run(result, turn)
    return results


class Course:
    """The runs of one scenario."""

    def __init__(self, scenario: Scenario, source: Source, store: servers.Store, place: Path) -> None:
        self._scenario = scenario
        self._source = source
        self._store = store
        self._place = place
        self._buckets: dict[str, str] = {}

    def run(self, result: Measured, turn: int) -> None:
        """One run. Turn 0 is not counted; in a scenario with a first pass it is that pass."""
        if result.error:
            return
        try:
            run = self._run(result, turn)
        except ToolFailed as error:
            result.error = str(error)
            print(f"  {self._scenario.name} {result.tool.name}: {error}", flush=True)
            return
        if turn and result.runs is not None:
            result.runs.append(run)
        cost = f"{run.wall_s:.2f} s, CPU {run.cpu_s:.2f} s, peak {run.peak_bytes / MiB:.0f} MiB"
        print(f"  {self._scenario.name} {turn or 'first'} {result.tool.name}: {cost}", flush=True)

    def _run(self, result: Measured, turn: int) -> Run:
        kept = self._scenario.warm
        slug = "".join(letter for letter in result.tool.name if letter.isalnum())
        home = self._place / (slug if kept else f"{slug}-{turn}") / self._scenario.name
        home.mkdir(parents=True, exist_ok=True)
        self._store.reset(keep_objects=kept)
        bucket = self._bucket(slug)
        try:
            job = Job(self._source, self._store.endpoint, bucket, home)
            run, command = launched(result.tool, job)
            shown = command.replace(str(self._place), "$BENCH").replace(f"{peer_programs()}/", "")
            result.command = shown.replace(sys.executable, "python").replace(f"{Path.cwd()}/", "")
            counts = self._store.counts() or {}
            if not (kept and turn):
                self._check(bucket, counts)
            return Run(run.wall_s, run.cpu_s, run.peak_bytes, counts.get("calls"), counts.get("bytes"))
        finally:
            if self._store.server and not kept:
                self._drop(bucket)

    def _bucket(self, slug: str) -> str:
        if self._store.server is None:
            return f"bench-{slug}".lower()
        client = self._store.server.client()
        name = self._buckets.get(slug) or fresh_bucket(client)
        client.close()
        if self._scenario.warm:
            self._buckets[slug] = name
        return name

    def _drop(self, bucket: str) -> None:
        assert self._store.server
        client = self._store.server.client()
        emptied(client, bucket)
        client.delete_bucket(Bucket=bucket)
        client.close()
        os.sync()  # the disk must not work for this run during the next one

    def _check(self, bucket: str, counts: dict[str, Any]) -> None:
        """Raises ToolFailed unless the store received exactly the bytes of the source."""
        source = self._source
        if self._store.server is None:
            if counts["bytes"] != source.total:
                raise ToolFailed(f"{counts['bytes']} bytes arrived instead of {source.total}")
            return
        if fault := difference(self._store.server, bucket, source):
            raise ToolFailed(fault)


def launched(tool: Tool, job: Job) -> tuple[Run, str]:
    """Run the tool once; its cost, and its command line. Raises ToolFailed."""
    command = tool.command(job)
    if command is None or not command[0]:
        raise ToolFailed("not installed" if command else "it cannot do this")
    log = job.home / "output.log"
    launcher = [sys.executable, "-I", "-S", str(LAUNCH), str(log), *command]
    process = subprocess.Popen(
        launcher, env=environment(job), stdout=subprocess.PIPE, cwd=REPOSITORY, start_new_session=True
    )
    try:
        output, _ = process.communicate()
    except BaseException:
        os.killpg(process.pid, SIGKILL)
        raise
    cost = json.loads(output)
    if code := cost.pop("code"):
        raise ToolFailed(f"exit code {code}: {_reason(log.read_text(errors='replace'))}")
    return Run(**cost), shlex.join(command)


def _reason(output: str) -> str:
    """The first line that looks like an error, else the last one."""
    lines = output.strip().splitlines() or ["no output"]
    return next((line for line in lines if "error" in line.lower() or ": " in line), lines[-1])[:300]


def made(scenario: Scenario, directory: Path) -> Source:
    """Random files, made once in a run of the bench: scenarios of the same size and count share them."""
    place = directory / f"{scenario.size}-{scenario.count}"
    names = [f"f{number:06}.bin" for number in range(scenario.count)]
    if not place.exists():
        place.mkdir(parents=True)
        for name in names:
            with open(place / name, "wb") as file:
                for start in range(0, scenario.size, MiB):
                    file.write(os.urandom(min(MiB, scenario.size - start)))
        os.sync()
    return Source(place, names, scenario.size)


def as_json(result: Measured) -> dict[str, Any]:
    runs = [asdict(run) for run in result.runs or []]
    return {"tool": result.tool.name, "command": result.command, "runs": runs, "error": result.error}
