"""The receiver of events, and the clock."""

from typing import Protocol

from mirrord.events import Event


class Observer(Protocol):
    """Receives every event, in order, on the event loop; must not block and must not raise."""

    def __call__(self, event: Event) -> None: ...


class Clock(Protocol):
    """Time, as a port, so that tests control it."""

    def now(self) -> float:
        """Seconds since the epoch, UTC."""

    def monotonic(self) -> float:
        """Seconds that never go back, for durations."""

    async def sleep(self, seconds: float) -> None: ...
