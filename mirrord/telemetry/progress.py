"""Progress bars for a person at a terminal: one line for the whole run, one for each of the first running transfers.

Draws on stderr when events arrive, at most ten times a second, without a thread or a timer. While it is open, log lines
written to `sys.stderr` appear above the bars. Draws nothing if stderr is not a terminal.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column

from mirrord.events import (
    Event,
    FolderRescanned,
    ItemBlocked,
    ItemRetrying,
    ItemsUnchanged,
    ItemUnchanged,
    ManifestLoaded,
    TransferCompleted,
    TransferEvent,
    TransferFailed,
    TransferInterrupted,
    TransferProgress,
    TransferResumed,
    TransferStarted,
)
from mirrord.model import Item
from mirrord.telemetry.event_method import EventMethod
from mirrord.telemetry.redaction import printable
from mirrord.units import format_duration, format_size

BARS = 8  # transfers shown at a time
REDRAW_EVERY = 0.1  # seconds
SHOWN_AFTER = 0.3  # seconds that a transfer must have run before it is shown: small ones would flicker
_WINDOW = 10.0  # seconds over which a rate is taken


class Rate:
    """Bytes per second over the last seconds, from a count that never decreases."""

    def __init__(self, now: float, count: int = 0) -> None:
        self._seen: deque[tuple[float, int]] = deque([(now, count)])

    def at(self, now: float, count: int) -> float:
        """The rate at `now` with `count` bytes in total; 0 before any time has passed."""
        self._seen.append((now, count))
        while len(self._seen) > 2 and self._seen[1][0] <= now - _WINDOW:
            self._seen.popleft()
        began, before = self._seen[0]
        return (count - before) / (now - began) if now > began else 0.0


@dataclass(slots=True)
class Moving:
    """One running transfer as it is drawn."""

    label: str
    began: float
    rate: Rate
    size: int | None = None
    sent: int = 0
    bar: TaskID | None = field(default=None)


@dataclass(slots=True)
class RunTotals:
    """The run as a whole. `total` is 0 while it is unknown; `sent` includes bytes of ended attempts."""

    total: int
    done: int = 0
    sent: int = 0


def remaining(totals: RunTotals, running: list[Moving], elapsed: float, rate: float) -> float | None:
    """Estimated seconds until the end; None if unknown. The larger of: the waiting items at the average time per item,
    and the bytes of the running transfers at the current rate."""
    waiting = totals.total - totals.done - len(running)
    if (waiting > 0 and not totals.done) or any(one.size is None for one in running):
        return None
    left = sum(max(0, (one.size or 0) - one.sent) for one in running)
    if left and not rate:
        return None
    items = elapsed * waiting / totals.done if waiting > 0 else 0.0
    return max(items, left / rate if left else 0.0)


def share(moving: Moving) -> float:
    """The finished fraction of a running transfer, 0 to 1: the bar of items then moves during a large transfer."""
    return min(1.0, moving.sent / moving.size) if moving.size else 0.0


class ProgressObserver:
    """`ports.Observer` and a context: bars are shown from enter to exit. `clock` gives monotonic seconds.

    The number of items is `total`, else the sum of what loaded manifests and scanned folders report. An item is done
    when it is copied, unchanged, Blocked, or failed without a retry.
    """

    def __init__(
        self, console: Console | None = None, *, total: int | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console = console or Console(stderr=True)
        self._clock = clock
        self._total_given = total is not None
        self._totals = RunTotals(total or 0)
        self._running: dict[str, Moving] = {}
        self._failed: set[str] = set()
        self._progress: Progress | None = None
        self._began = self._drawn = clock()
        self._rate = Rate(self._began)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._began = self._drawn = self._clock()
            self._rate = Rate(self._began)
            self._progress = _bars(self._console)
            self._whole = self._progress.add_task("", total=None, amount="", pace="")
            self._progress.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._progress is not None:
            self._draw(self._progress, self._clock())
            self._progress.stop()
            self._progress = None

    def __call__(self, event: Event) -> None:
        if self._progress is None:
            return
        self._count(event)
        now = self._clock()
        if now - self._drawn >= REDRAW_EVERY:
            self._draw(self._progress, now)

    # ── counting ──────────────────────────────────────────────────────────────────────────────────
    @EventMethod
    def _count(self, event: Event) -> None:
        """Events that change no bar."""

    @_count.register
    def _(self, event: ManifestLoaded) -> None:
        self._expect(event.items)

    @_count.register
    def _(self, event: FolderRescanned) -> None:
        self._expect(event.files)

    def _expect(self, items: int) -> None:
        if not self._total_given:
            self._totals.total += items

    @_count.register
    def _(self, event: TransferStarted) -> None:
        self._moving(event).size = event.size

    @_count.register
    def _(self, event: TransferResumed) -> None:
        """The bar starts at the bytes that the earlier attempt stored; they are not sent again."""
        moving = self._moving(event)
        moving.sent, moving.rate = event.bytes, Rate(self._clock(), event.bytes)

    @_count.register
    def _(self, event: TransferProgress) -> None:
        moving = self._moving(event)
        moving.size = event.size
        self._totals.sent += event.bytes_sent - moving.sent
        moving.sent = event.bytes_sent

    @_count.register
    def _(self, event: TransferCompleted) -> None:
        self._totals.sent += (0 if event.copied.reused else event.copied.size) - self._moving(event).sent
        self._totals.done += 1
        self._end(event)

    @_count.register
    def _(self, event: TransferFailed) -> None:
        self._end(event)
        if event.retry_in is None:
            self._fail(event.item.id)

    @_count.register
    def _(self, event: ItemRetrying) -> None:
        if event.retry_in is None:
            self._fail(event.item.id)

    @_count.register
    def _(self, event: TransferInterrupted) -> None:
        self._end(event)

    @_count.register
    def _(self, _event: ItemUnchanged) -> None:
        self._totals.done += 1

    @_count.register
    def _(self, event: ItemsUnchanged) -> None:
        self._totals.done += event.count

    @_count.register
    def _(self, event: ItemBlocked) -> None:
        self._fail(event.item.id)

    def _fail(self, item_id: str) -> None:
        """Count the item once: a permanent failure of a transfer is followed by item.blocked."""
        if item_id not in self._failed:
            self._failed.add(item_id)
            self._totals.done += 1

    def _moving(self, event: TransferEvent) -> Moving:
        moving = self._running.get(event.transfer_id)
        if moving is None:
            now = self._clock()
            moving = self._running[event.transfer_id] = Moving(_label(event.item), now, Rate(now))
        return moving

    def _end(self, event: TransferEvent) -> None:
        moving = self._running.pop(event.transfer_id, None)
        if moving is not None and moving.bar is not None and self._progress is not None:
            self._progress.remove_task(moving.bar)

    # ── drawing ───────────────────────────────────────────────────────────────────────────────────
    def _draw(self, progress: Progress, now: float) -> None:
        self._drawn = now
        self._draw_whole(progress, now)
        lasting = (one for one in self._running.values() if now - one.began >= SHOWN_AFTER)
        for moving in islice(lasting, BARS):
            if moving.bar is None:
                moving.bar = progress.add_task(moving.label, total=None, amount="", pace="")
            _draw_one(progress, moving.bar, moving, now)
        progress.refresh()

    def _draw_whole(self, progress: Progress, now: float) -> None:
        totals, running = self._totals, list(self._running.values())
        rate = self._rate.at(now, totals.sent)
        total = max(totals.total, totals.done + len(running)) if totals.total else None
        left = remaining(totals, running, now - self._began, rate)
        hidden = f", {len(running) - BARS} more running" if len(running) > BARS else ""
        progress.update(
            self._whole,
            description=f"{totals.done}{f'/{total}' if total else ''} items{hidden}",
            completed=totals.done + sum(map(share, running)),
            total=total,
            amount=format_size(totals.sent),
            pace=_pace(rate, left),
        )


def _label(item: Item) -> str:
    return escape(" ".join(printable(item.destination.key).split()))


def _draw_one(progress: Progress, bar: TaskID, moving: Moving, now: float) -> None:
    rate = moving.rate.at(now, moving.sent)
    left = (moving.size - moving.sent) / rate if moving.size is not None and rate else None
    of = f"/{format_size(moving.size)}" if moving.size is not None else ""
    amount = f"{format_size(moving.sent)}{of}"
    progress.update(bar, completed=moving.sent, total=moving.size, amount=amount, pace=_pace(rate, left))


def _pace(rate: float, left: float | None) -> str:
    eta = f"ETA {format_duration(left)}" if left is not None else "ETA –"
    return f"{format_size(rate)}/s {eta}"


def _bars(console: Console) -> Progress:
    name = Column(ratio=1, no_wrap=True, overflow="ellipsis")
    number = Column(justify="right", no_wrap=True)
    return Progress(
        TextColumn("{task.description}", table_column=name),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[amount]}", table_column=number),
        TextColumn("{task.fields[pace]}", table_column=number),
        console=console,
        auto_refresh=False,
        redirect_stdout=False,
        expand=True,
    )
