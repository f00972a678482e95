"""The background tasks of a daemon: named, begun again when they die, ended together.

Owns the pauses between deaths and who is failing. Refuses to know what a task does. A task that returns has died too,
unless it was declared to end.
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
WELL_AFTER = 10.0
"""Seconds that a task must live after a death until it counts as well again."""

Work = Callable[[], Coroutine[Any, Any, None]]


@dataclass(slots=True)
class Watched:
    """One task: how often it died in a row, when it began, and of what it died last."""

    deaths: int = 0
    began: float | None = None  # None: dead, to be begun again
    cause: str = ""


class Supervisor:
    """`async with Supervisor(clock) as tasks: tasks.start("queue", run)`. Leaving cancels and awaits every task."""

    def __init__(self, clock: Clock, chance: Callable[[], float] = random) -> None:
        self._clock = clock
        self._chance = chance
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._watched: dict[str, Watched] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def start(self, name: str, work: Work, *, finite: bool = False) -> None:
        """Run `work` until it is stopped, begun anew each time it dies; `finite`: it may end by returning.

        A name belongs to one task at a time: ValueError.
        """
        if name in self._tasks:
            raise ValueError(f"a task is called {name} already")
        self._watched[name] = Watched()
        self._tasks[name] = asyncio.create_task(self._keep(name, work, finite), name=name)

    async def stop(self, name: str) -> None:
        """Cancel the task and wait until it has ended; one that there is not is no error."""
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
        """The tasks that run or are to be begun again."""
        return frozenset(self._tasks)

    @property
    def failing(self) -> Mapping[str, str]:
        """The tasks that are dead, or were begun again only just, each with what it died of."""
        now = self._clock.monotonic()
        return {name: one.cause for name, one in self._watched.items() if one.cause and not _recovered(one, now)}

    def problem(self) -> str | None:
        """The failing tasks in words; None if there are none."""
        return ", ".join(f"{name}: {why}" for name, why in sorted(self.failing.items())) or None

    async def _keep(self, name: str, work: Work, finite: bool) -> None:
        watched = self._watched[name]
        while True:
            watched.began = self._clock.monotonic()
            life = asyncio.create_task(work(), name=name)
            try:
                await asyncio.wait([life])
            finally:
                await drain([life])
            error = None if life.cancelled() else life.exception()
            if finite and not life.cancelled() and error is None:
                self._forget(name, self._tasks[name])
                return
            await self._pause(name, watched, _cause(life, error), error)

    async def _pause(self, name: str, watched: Watched, cause: str, error: BaseException | None) -> None:
        if _recovered(watched, self._clock.monotonic()):
            watched.deaths = 0
        watched.deaths, watched.cause, watched.began = watched.deaths + 1, cause, None
        wait = pause(RESTARTS, watched.deaths, self._chance())
        _log.error("task %s died (%s), begun again in %.1f s", name, cause, wait, exc_info=error)
        await self._clock.sleep(wait)

    def _forget(self, name: str, task: asyncio.Task[None]) -> None:
        if self._tasks.get(name) is task:
            del self._tasks[name], self._watched[name]


def _recovered(watched: Watched, now: float) -> bool:
    return watched.began is not None and now - watched.began >= WELL_AFTER


def _cause(life: asyncio.Task[None], error: BaseException | None) -> str:
    if life.cancelled():
        return "it was cancelled by itself"
    return "it returned" if error is None else f"{type(error).__name__}: {error}"
