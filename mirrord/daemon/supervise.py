"""The background tasks of a daemon: each has a name and is restarted when it fails; all end together.

Owns the pauses before restarts, and which tasks are failing. A task that returns has failed too, unless it is `finite`.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from logging import getLogger
from random import random
from typing import Any, Self

from mirrord.aio import drain
from mirrord.planning.timing.backoff import Backoff, pause
from mirrord.ports import Clock

_log = getLogger(__name__)

RESTARTS = Backoff(base=1.0, cap=30.0, jitter=0.5)
RECOVERED_AFTER = 10.0
"""Seconds that a restarted task must run until it no longer counts as failing."""

TaskFactory = Callable[[], Coroutine[Any, Any, None]]


@dataclass(slots=True)
class SupervisedTask:
    """One task: its failures in a row, its start time and its last error."""

    failures: int = 0
    began: float | None = None  # None: waits for its restart
    cause: str = ""


class Supervisor:
    """`async with Supervisor(clock) as tasks: tasks.start("queue", run)`. Leaving cancels and awaits every task."""

    def __init__(self, clock: Clock, chance: Callable[[], float] = random) -> None:
        self._clock = clock
        self._chance = chance
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._supervised: dict[str, SupervisedTask] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def start(self, name: str, work: TaskFactory, *, finite: bool = False) -> None:
        """Run `work` until it is stopped, and restart it each time it fails; `finite`: it may end by returning.

        Raises ValueError if a task with this name runs.
        """
        if name in self._tasks:
            raise ValueError(f"a task is called {name} already")
        self._supervised[name] = SupervisedTask()
        self._tasks[name] = asyncio.create_task(self._keep(name, work, finite), name=name)

    async def stop(self, name: str) -> None:
        """Cancel the task and wait until it has ended; an unknown name is no error."""
        if task := self._tasks.get(name):
            await drain([task])
            self._forget(name, task)

    async def close(self) -> None:
        """Cancel every task and wait until all have ended."""
        tasks = dict(self._tasks)
        await drain(tasks.values())
        for name, task in tasks.items():
            self._forget(name, task)

    @property
    def names(self) -> frozenset[str]:
        """The tasks that run or wait for their restart."""
        return frozenset(self._tasks)

    @property
    def failing(self) -> Mapping[str, str]:
        """Tasks that wait for a restart, or were restarted less than RECOVERED_AFTER seconds ago, with their errors."""
        now = self._clock.monotonic()
        return {name: one.cause for name, one in self._supervised.items() if one.cause and not _recovered(one, now)}

    def problem(self) -> str | None:
        """The failing tasks in words; None if there are none."""
        return ", ".join(f"{name}: {why}" for name, why in sorted(self.failing.items())) or None

    async def _keep(self, name: str, work: TaskFactory, finite: bool) -> None:
        supervised = self._supervised[name]
        while True:
            supervised.began = self._clock.monotonic()
            life = asyncio.create_task(work(), name=name)
            try:
                await asyncio.wait([life])
            finally:
                await drain([life])
            error = None if life.cancelled() else life.exception()
            if finite and not life.cancelled() and error is None:
                self._forget(name, self._tasks[name])
                return
            await self._pause(name, supervised, _cause(life, error), error)

    async def _pause(self, name: str, supervised: SupervisedTask, cause: str, error: BaseException | None) -> None:
        if _recovered(supervised, self._clock.monotonic()):
            supervised.failures = 0
        supervised.failures, supervised.cause, supervised.began = supervised.failures + 1, cause, None
        wait = pause(RESTARTS, supervised.failures, self._chance())
        _log.error("task %s died (%s), restarted in %.1f s", name, cause, wait, exc_info=error)
        await self._clock.sleep(wait)

    def _forget(self, name: str, task: asyncio.Task[None]) -> None:
        if self._tasks.get(name) is task:
            del self._tasks[name], self._supervised[name]


def _recovered(supervised: SupervisedTask, now: float) -> bool:
    return supervised.began is not None and now - supervised.began >= RECOVERED_AFTER


def _cause(life: asyncio.Task[None], error: BaseException | None) -> str:
    if life.cancelled():
        return "it was cancelled by itself"
    return "it returned" if error is None else f"{type(error).__name__}: {error}"
