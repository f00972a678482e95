"""What the candidates of `tests.bench.queues` share: how a worker works, and the jobs that it runs."""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

RENEW_EVERY, SWEEP_EVERY, DEAD_AFTER = 10.0, 10.0, 30.0
"""Seconds: a worker's heartbeat, the sweep for dead workers, the age of a heartbeat after which its worker is dead."""


@dataclass(frozen=True, slots=True)
class How:
    """`batch`: tickets a claim; `poll`: seconds between claims while idle (0: the candidate's default)."""

    batch: int = 1
    concurrency: int = 20
    listen: bool = True
    poll: float = 0.0
    drain: bool = False
    """End as soon as the queue is empty."""


class Job(Protocol):
    async def __call__(self, items: bytes) -> None: ...

    def refused(self, count: int) -> None:
        """The queue refused to finish this many tickets of a job that ended."""


class Queue(Protocol):
    """A candidate with an open connection."""

    async def install(self, *, notify: bool) -> None:
        """Create the tables. `notify=False`: as behind a proxy that drops notifications."""

    async def enqueue(self, payloads: Sequence[bytes]) -> None:
        """Add these tickets in one transaction."""

    async def fetch(self) -> bool:
        """Claim one ticket and keep it; False: there is none."""

    async def work(self, job: Job, how: How) -> None: ...


def say(**fields: Any) -> None:
    """One line of JSON for the bench."""
    print(json.dumps(fields), flush=True)


@dataclass(slots=True)
class Brief:
    """A job that waits 1 ms, as for an answer of a store."""

    jobs: int = 0
    ended: float = 0.0

    async def __call__(self, items: bytes) -> None:
        await asyncio.sleep(0.001)
        self.jobs += 1
        self.ended = time.monotonic()

    def refused(self, count: int) -> None:
        say(event="refused", count=count)


@dataclass(slots=True)
class Stamped(Brief):
    """A job that says when it began."""

    async def __call__(self, items: bytes) -> None:
        say(event="began", at=time.monotonic())


@dataclass(slots=True)
class Held(Brief):
    """A job that ends once `gate` exists."""

    gate: Path = field(default=Path())

    async def __call__(self, items: bytes) -> None:
        say(event="began", at=time.monotonic(), ticket=items.decode())
        while not self.gate.exists():  # noqa: ASYNC110 - the file is made by another process
            await asyncio.sleep(0.02)
        say(event="ended", at=time.monotonic(), ticket=items.decode())
