"""Who receives events, and time."""

from typing import Protocol

from mirrord.events import Event


class Observer(Protocol):
    """Receives every event, in order, on the event loop; must not block and must not raise."""

    def __call__(self, event: Event) -> None: ...


class Clock(Protocol):
    """Time for the core, so that tests own it."""

    def now(self) -> float:
        """Seconds since the epoch, UTC."""

    def monotonic(self) -> float:
        """Seconds that never go back, for durations."""

    async def sleep(self, seconds: float) -> None: ...
