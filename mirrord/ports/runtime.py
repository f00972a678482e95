"""The receiver of events, the clock, the pace of reading, and permits of calls."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from mirrord.events import Event
from mirrord.ports.source import ByteStream


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


class Pace(Protocol):
    """Limits the bytes that all reads of a process get each second: see `transfer.bandwidth`."""

    @property
    def rate(self) -> int | None:
        """Bytes a second that are allowed now; None: unlimited."""

    async def read(self, stream: ByteStream, view: memoryview) -> int:
        """As `stream.readinto(view)`, of as many bytes as are allowed now."""

    async def pay(self, size: int) -> None:
        """Wait until `size` bytes may be read, or may have been."""


class RequestPace(Protocol):
    """Limits the requests to each host a second: see `reconcile.request_rates`."""

    async def next_request(self, address: str) -> None:
        """Wait until a request to the host of this URL may be sent."""


class CallPermits(Protocol):
    """Permits of the calls to one store or host, see `reconcile.call_limits`: one for each call while it runs."""

    async def take(self) -> int:
        """Wait for a permit; `give` must follow. Returns the generation of the call."""

    def give(self) -> None:
        """The call has ended, with any result."""

    def refused(self, generation: int) -> None:
        """A call of this generation, which still has its permit, was refused with 429, 503 or SlowDown."""

    def answered(self) -> None:
        """A call succeeded."""


class SourceLimits(NamedTuple):
    """What limits the reading of sources; None: nothing does."""

    pace: Pace | None = None
    """Of bodies that no transfer reads: lists, and bodies that are read for their checksum only."""
    requests: RequestPace | None = None
    permits: Callable[[str], CallPermits | None] | None = None
    """Of the requests to the host of a URL; None: any number at once."""


UNPACED = SourceLimits()


class PacedStream:
    """`ports.ByteStream` of another stream, at this pace."""

    def __init__(self, stream: ByteStream, pace: Pace) -> None:
        self._stream = stream
        self._pace = pace

    async def readinto(self, view: memoryview) -> int:
        return await self._pace.read(self._stream, view)
