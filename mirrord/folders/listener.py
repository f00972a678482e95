"""Receives the hints of one folder, and requests events again after they failed.

Owns what status shows of events: whether there are any, and why not. `folders.loop` decides what follows from a hint.
"""

from collections.abc import Callable, Iterable
from logging import getLogger

from mirrord.declared import FolderSpec
from mirrord.folders.ports import FolderPorts
from mirrord.ports import Hints

_log = getLogger(__name__)

EVENTS_AGAIN = 60.0
"""Seconds until events are requested again after they failed."""


class HintListener:
    """`await listener.run(…)` passes on hints until it is cancelled."""

    def __init__(self, spec: FolderSpec, ports: FolderPorts) -> None:
        self._spec = spec
        self._ports = ports
        self._hints: Hints | None = None
        self._no_events: str | None = None

    @property
    def watching(self) -> str:
        """`events` or `poll`."""
        return "poll" if self._hints is None else self._hints.watching

    @property
    def problem(self) -> str | None:
        """Why there are no events; None if there are."""
        if self._hints is not None and self._hints.problem:
            return self._hints.problem
        return self._no_events

    async def run(
        self, began: Callable[[], object], take: Callable[[Iterable[str]], None], lose: Callable[[str | None], None]
    ) -> None:
        """Call `take` with changed paths.

        `began` is called when events flow, or are not available. `lose` is called when events begin again after an
        error (None), and when they fail: with why they ended, or None if there were none.
        """
        while True:
            try:
                async with self._ports.watch() as hints:
                    self._hints = hints
                    if self._no_events:
                        self._no_events = None
                        lose(None)
                    began()
                    while True:
                        take(await hints.changed())
            except OSError as error:
                self._failed(str(error))
                lose(None if self._hints is None else str(error))
            finally:
                self._hints = None
            began()
            await self._ports.clock.sleep(EVENTS_AGAIN)

    def _failed(self, error: str) -> None:
        interval = self._spec.times.poll_interval
        if not self._no_events:
            _log.warning("no events for %s, it is scanned every %g s: %s", self._spec.path, interval, error)
        self._no_events = f"no events, scanned every {interval:g} s: {error}"
