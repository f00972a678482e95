"""Running transfers with their current rate, from events; and the events for subscribers.

Memory is bounded: one entry per running item, a fixed backlog per subscriber. Items that do not run are in the journal
only. A slow subscriber never delays others: it loses its oldest events, and gets only some progress events.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Self

from mirrord.daemon.throughput import Throughput
from mirrord.events import (
    Event,
    ItemChanged,
    TransferCompleted,
    TransferEvent,
    TransferFailed,
    TransferInterrupted,
    TransferProgress,
    TransferResumed,
    TransferStarted,
)
from mirrord.frozen import frozen
from mirrord.model import State
from mirrord.ports import Clock
from mirrord.status import Progress

WINDOW = 5.0
"""Seconds over which a rate is measured; more if fewer than two steps fall into them (parts on a slow line)."""
STEP = 0.25
"""Seconds between two samples of a transfer, so that it holds at most WINDOW / STEP + 2 of them."""
PROGRESS_EVERY = 0.5
"""Seconds between two progress events of one transfer that subscribers see."""
BACKLOG = 512
"""Most events that wait for one subscriber; then the oldest is dropped."""


@frozen
class _Sample:
    """Byte counts of one transfer at a moment (monotonic seconds)."""

    at: float
    read: int
    sent: int


@dataclass(slots=True)
class _Run:
    """One running transfer; `reported` is when its progress was last sent to subscribers."""

    event: TransferEvent
    started: float  # since the epoch
    size: int | None
    now: _Sample
    samples: deque[_Sample] = field(default_factory=deque)
    reported: float = float("-inf")
    message: str = ""

    def advance(self, event: TransferProgress, at: float) -> None:
        self.event, self.size = event, event.size
        self.now = _Sample(at, event.bytes_read, event.bytes_sent)
        if at - self.samples[-1].at >= STEP:
            self.samples.append(self.now)
        while len(self.samples) > 2 and self.samples[1].at <= at - WINDOW:
            self.samples.popleft()

    def rate(self, at: float) -> float:
        """Recent bytes per second of reading or sending, whichever is larger; it decreases while nothing moves.

        Reading is ahead by the part buffers, and sending advances by whole parts: either alone would be 0 at times.
        """
        base = self._base(at)
        seconds = at - base.at
        moved = max(self.now.read - base.read, self.now.sent - base.sent)
        return moved / seconds if seconds > 0 else 0.0

    def _base(self, at: float) -> _Sample:
        """The newest sample that is older than the window and older than the latest step."""
        old = [one for one in list(self.samples)[:-1] if one.at <= at - WINDOW]
        return old[-1] if old else self.samples[0]


class Subscription:
    """Events from its creation on, as an async iterator that ends when it is closed."""

    def __init__(self, backlog: int) -> None:
        self._waiting: deque[Event] = deque(maxlen=backlog)
        self._news = asyncio.Event()
        self._closed = False
        self.lost = 0
        """Events dropped because the subscriber was slow."""

    def offer(self, event: Event) -> None:
        """Never waits: if the backlog is full, the oldest event is dropped."""
        self.lost += len(self._waiting) == self._waiting.maxlen
        self._waiting.append(event)
        self._news.set()

    def close(self) -> None:
        self._closed = True
        self._news.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while not self._waiting:
            if self._closed:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        return self._waiting.popleft()


class Board:
    """`ports.Observer` that keeps the running transfers. Use on one event loop."""

    def __init__(self, clock: Clock, *, progress_every: float = PROGRESS_EVERY, backlog: int = BACKLOG) -> None:
        self._clock = clock
        self._progress_every = progress_every
        self._backlog = backlog
        self._runs: dict[str, _Run] = {}  # by item id: an item has at most one running transfer
        self._subscriptions: set[Subscription] = set()
        self._throughput = Throughput(clock)
        self._closed = False

    def __call__(self, event: Event) -> None:
        if self._note(event):
            for subscription in self._subscriptions:
                subscription.offer(event)

    def running(self) -> tuple[Progress, ...]:
        """Every running transfer, the longest running first."""
        at = self._clock.monotonic()
        return tuple(_progress(run, at) for run in self._runs.values())

    def unfinished(self) -> tuple[TransferEvent, ...]:
        """The last event of every running transfer, the longest-running first."""
        return tuple(run.event for run in self._runs.values())

    def age(self, item_id: str) -> float:
        """Seconds since the item's running transfer began; 0 if there is none."""
        run = self._runs.get(item_id)
        return self._clock.now() - run.started if run else 0.0

    def progress(self, item_id: str) -> Progress | None:
        """The item's running transfer."""
        run = self._runs.get(item_id)
        return _progress(run, self._clock.monotonic()) if run else None

    def sent_by_minute(self) -> tuple[int, ...]:
        """Bytes that were sent in each minute of the last hour, the current one last."""
        return self._throughput.minutes()

    @asynccontextmanager
    async def subscribe(self) -> AsyncIterator[AsyncIterator[Event]]:
        """Events from now until the context ends; after `close` the iterator ends at once."""
        subscription = Subscription(self._backlog)
        self._subscriptions.add(subscription)
        if self._closed:
            subscription.close()
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    def close(self) -> None:
        """Accept no more events. Each subscriber still reads its backlog, then its iterator ends."""
        self._closed = True
        for subscription in self._subscriptions:
            subscription.close()

    # ── events ────────────────────────────────────────────────────────────────────────
    def _note(self, event: Event) -> bool:
        """Whether the event is for subscribers."""
        match event:
            case TransferStarted():
                self._runs.pop(event.item.id, None)  # the new one goes to the end of the order
                self._begin(event, event.size)
            case TransferResumed():
                self._begin(event, run.size if (run := self._runs.get(event.item.id)) else None, event.bytes)
            case TransferProgress():
                return self._advance(event)
            case TransferCompleted():
                if run := self._runs.pop(event.item.id, None):  # of a small object it is the only event with bytes
                    self._throughput.add(max(0, event.copied.size - run.now.sent))
            case TransferFailed() | TransferInterrupted():
                self._runs.pop(event.item.id, None)
            case ItemChanged() if event.state is not State.TRANSFERRING:
                # An attempt without an end event (the journal failed) ends when its item changes state.
                self._runs.pop(event.item.id, None)
            case ItemChanged() if run := self._runs.get(event.item.id):
                run.message = event.message
        return True

    def _begin(self, event: TransferEvent, size: int | None, kept: int = 0) -> _Run:
        first = _Sample(self._clock.monotonic(), kept, kept)
        run = _Run(event, self._clock.now(), size, first, deque([first]))
        self._runs[event.item.id] = run
        return run

    def _advance(self, event: TransferProgress) -> bool:
        run = self._runs.get(event.item.id)
        if run is None or run.event.transfer_id != event.transfer_id:
            run = self._begin(event, event.size)
        at = self._clock.monotonic()
        self._throughput.add(max(0, event.bytes_sent - run.now.sent))
        run.advance(event, at)
        if at - run.reported < self._progress_every:
            return False
        run.reported = at
        return True


def _progress(run: _Run, at: float) -> Progress:
    item = run.event.item
    return Progress(
        item_id=item.id,
        transfer_id=run.event.transfer_id,
        entry=item.entry,
        destination=str(item.destination),
        kind=run.event.kind,
        attempt=run.event.attempt,
        started=run.started,
        bytes_read=run.now.read,
        bytes_sent=run.now.sent,
        size=run.size,
        rate=run.rate(at),
        message=run.message,
    )
