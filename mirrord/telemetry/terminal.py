"""Events as short lines for a person at a terminal, beside the progress bars: problems, and on request every item.

Decides which events are problems, and shows one problem of an item once. A command shows either these lines or the log
(`log_observer`), which has all fields.
"""

from collections.abc import Callable

from mirrord.errors import Reason
from mirrord.events import (
    Event,
    FolderOverflowed,
    FolderRescanned,
    ItemBlocked,
    ItemDrifted,
    ItemPruned,
    ItemRetrying,
    ItemsUnchanged,
    ItemUnchanged,
    ManifestRejected,
    TransferCompleted,
    TransferFailed,
    TransferInterrupted,
)
from mirrord.model import Item
from mirrord.telemetry.event_method import EventMethod
from mirrord.telemetry.redaction import printable
from mirrord.units import format_duration, format_size


class TerminalObserver:
    """`ports.Observer` that passes lines to `write`; with `verbose` also one for each item that is in sync."""

    def __init__(self, write: Callable[[str], None], *, verbose: bool = False) -> None:
        self._write = write
        self._verbose = verbose
        self._last_shown: dict[str, tuple[Reason, str]] = {}

    def __call__(self, event: Event) -> None:
        self._show(event)

    @EventMethod
    def _show(self, event: Event) -> None:
        """An event that is not a problem."""

    # ── problems ──────────────────────────────────────────────────────────────────────────────────
    @_show.register
    def _(self, event: ManifestRejected) -> None:
        for problem in event.problems:
            self._line(f"invalid {problem}")

    @_show.register
    def _(self, event: FolderRescanned) -> None:
        if not event.complete:
            self._line(f"incomplete {event.folder}: {event.problem or 'not all of it could be read'}")

    @_show.register
    def _(self, event: FolderOverflowed) -> None:
        self._line(f"overflow {event.folder}: {event.message}")

    @_show.register
    def _(self, event: ItemRetrying | TransferFailed) -> None:
        again = "" if event.retry_in is None else f"; next try in {format_duration(max(1.0, event.retry_in))}"
        self._problem("failed", event.item, event.reason, event.message, again)

    @_show.register
    def _(self, event: ItemBlocked) -> None:
        self._problem("blocked", event.item, event.reason, event.message)

    @_show.register
    def _(self, event: ItemDrifted) -> None:
        self._line(f"drifted {event.item.destination}: {event.message}")

    @_show.register
    def _(self, event: TransferInterrupted) -> None:
        self._line(f"interrupted {event.item.destination}: {event.outcome}")

    def _problem(self, word: str, item: Item, reason: Reason, message: str, again: str = "") -> None:
        """Write one line, unless the last line about the item was the same."""
        if self._last_shown.get(item.id) != (reason, message):
            self._last_shown[item.id] = (reason, message)
            self._line(f"{word} {item.destination}: {message}{again}")

    # ── items in sync ─────────────────────────────────────────────────────────────────────────────
    @_show.register
    def _(self, event: TransferCompleted) -> None:
        self._last_shown.pop(event.item.id, None)
        if self._verbose:
            self._line(f"copied {event.item.destination} ({format_size(event.copied.size)})")

    @_show.register
    def _(self, event: ItemUnchanged) -> None:
        self._last_shown.pop(event.item.id, None)
        if self._verbose:
            self._line(f"unchanged {event.item.destination}")

    @_show.register
    def _(self, event: ItemsUnchanged) -> None:
        if self._last_shown or self._verbose:
            for item in event.items():
                self._show(ItemUnchanged(item=item))

    @_show.register
    def _(self, event: ItemPruned) -> None:
        if self._verbose:
            self._line(f"deleted {event.item.destination}")

    def _line(self, text: str) -> None:
        self._write(" ".join(printable(text).split()))
