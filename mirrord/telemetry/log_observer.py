"""Events as log lines: their names and fields, a level for each, and which repeated events are not logged.

Limits progress to one line every few seconds of a long transfer, and permanent failures to one line per item and
reason until the item is Synced again. Only an item's `shown_source` is ever logged.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import fields

from mirrord.errors import Reason
from mirrord.events import (
    Event,
    FolderOverflowed,
    FolderRescanned,
    ItemBlocked,
    ItemChanged,
    ItemDrifted,
    ItemRetrying,
    ItemStale,
    ItemsUnchanged,
    ItemUnchanged,
    ManifestRejected,
    TransferCompleted,
    TransferEvent,
    TransferFailed,
    TransferInterrupted,
    TransferProgress,
    TransferResumed,
    TransferStarted,
    UploadAborted,
)
from mirrord.model import File, Item, TransferKind
from mirrord.telemetry.event_method import EventMethod
from mirrord.telemetry.json_lines import completed_line
from mirrord.telemetry.logs import Log

PROGRESS_EVERY = 5.0  # seconds


class LogObserver:
    """`ports.Observer` that writes to `log`. `clock` gives monotonic seconds."""

    def __init__(
        self,
        log: Log,
        *,
        clock: Callable[[], float] = time.monotonic,
        progress_every: float = PROGRESS_EVERY,
    ) -> None:
        self._logger, self._json_info = log
        self._shows_debug = self._logger.is_enabled_for(logging.DEBUG)
        self._clock = clock
        self._progress_every = progress_every
        self._running: dict[str, tuple[float, float]] = {}  # transfer id -> began, last line
        self._resumed: dict[str, int] = {}  # transfer id -> bytes of an earlier attempt
        self._failing: dict[
            str, tuple[str, Reason, File | None]
        ] = {}  # by item id: what was last logged, of which file
        self._folders: dict[str, tuple[object, ...]] = {}  # folder -> result of its last scan

    def __call__(self, event: Event) -> None:
        self._log_event(event)

    @EventMethod
    def _log_event(self, event: Event) -> None:
        """Log an event without a rule of its own: its plain fields, and its item as shown."""
        values = {field.name: getattr(event, field.name) for field in fields(event)}
        item = _item(values["item"]) if isinstance(values.get("item"), Item) else {}
        self._logger.info(event.name, **item, **{n: v for n, v in values.items() if isinstance(v, str | int | float)})

    @_log_event.register
    def _(self, event: ItemChanged) -> None:
        """Not logged: it is for the status page and metrics."""

    # ── manifests and folders ─────────────────────────────────────────────────────────────────────
    @_log_event.register
    def _(self, event: ManifestRejected) -> None:
        self._logger.error(event.name, file=event.file, problems=[str(problem) for problem in event.problems])

    @_log_event.register
    def _(self, event: FolderRescanned) -> None:
        found = (event.complete, event.files, event.problem, event.left_out)
        write = self._logger.info if event.complete else self._logger.warning
        if self._folders.get(event.folder) == found:
            write = (
                self._logger.debug
            )  # scans come every few seconds: a scan is logged at info only if its result is new
        self._folders[event.folder] = found
        write(
            event.name,
            folder=event.folder,
            cause=event.cause,
            files=event.files,
            complete=event.complete,
            duration_ms=_milliseconds(event.duration),
            **_known(problem=event.problem or None, left=", ".join(map(str, event.left_out)) or None),
        )

    @_log_event.register
    def _(self, event: FolderOverflowed) -> None:
        self._logger.warning(event.name, folder=event.folder, message=event.message)

    # ── transfers ─────────────────────────────────────────────────────────────────────────────────
    @_log_event.register
    def _(self, event: TransferStarted) -> None:
        now = self._clock()
        self._running[event.transfer_id] = (now, now)
        is_put = event.kind is TransferKind.PUT
        if self._shows_debug or not is_put:  # a folder may have 100,000 puts, and each has its line at the end
            level = logging.DEBUG if is_put else logging.INFO
            self._logger.log(level, event.name, **_transfer(event), **_known(size=event.size))

    @_log_event.register
    def _(self, event: TransferResumed) -> None:
        """Bytes of an earlier attempt do not count for the speed of this one."""
        self._resumed[event.transfer_id] = event.bytes
        self._logger.info(event.name, **_transfer(event), parts=event.parts, bytes=event.bytes)

    @_log_event.register
    def _(self, event: TransferProgress) -> None:
        now = self._clock()
        began, last = self._running.setdefault(event.transfer_id, (now, now))
        if now - last < self._progress_every:
            return
        self._running[event.transfer_id] = (began, now)
        self._logger.info(
            event.name,
            **_transfer(event),
            bytes=event.bytes_sent,
            **_known(size=event.size),
            bytes_per_s=_rate(event.bytes_sent - self._resumed.get(event.transfer_id, 0), now - began),
            duration_ms=_milliseconds(now - began),
        )

    @_log_event.register
    def _(self, event: TransferCompleted) -> None:
        resumed = self._ended(event)
        self._failing.pop(event.item.id, None)
        copied = event.copied
        moved = 0 if copied.reused else copied.size
        rate = _rate(moved - resumed, event.duration)
        if self._json_info is not None:  # one for each object: 15 us less
            self._json_info(completed_line(event, moved, _milliseconds(event.duration), rate))
            return
        self._logger.info(
            event.name,
            **_transfer(event),
            bytes=moved,
            parts=copied.parts,
            duration_ms=_milliseconds(event.duration),
            bytes_per_s=rate,
            integrity=copied.integrity.value,
            outcome="completed",
        )

    @_log_event.register
    def _(self, event: TransferFailed) -> None:
        self._ended(event)
        if event.retry_in is None:
            write = self._logger.error if self._is_new(event.item, "blocked", event.reason) else self._logger.info
        else:
            write = self._logger.warning
        write(
            event.name,
            **_transfer(event),
            reason=event.reason.value,
            message=event.message,
            duration_ms=_milliseconds(event.duration),
            outcome="failed",
            **_known(retry_in_s=None if event.retry_in is None else round(event.retry_in, 3)),
        )

    @_log_event.register
    def _(self, event: TransferInterrupted) -> None:
        self._ended(event)
        duration = _milliseconds(event.duration)
        self._logger.info(event.name, **_transfer(event), duration_ms=duration, outcome=event.outcome)

    def _ended(self, event: TransferEvent) -> int:
        """The bytes that it resumed with."""
        self._running.pop(event.transfer_id, None)
        return self._resumed.pop(event.transfer_id, 0)

    # ── items and uploads ─────────────────────────────────────────────────────────────────────────
    @_log_event.register
    def _(self, event: ItemUnchanged) -> None:
        self._failing.pop(event.item.id, None)
        if self._shows_debug:
            self._logger.debug(event.name, **_item(event.item), outcome="unchanged")

    @_log_event.register
    def _(self, event: ItemsUnchanged) -> None:
        if self._failing or self._shows_debug:
            for item in event.items():
                self._log_event(ItemUnchanged(item=item))

    @_log_event.register
    def _(self, event: ItemBlocked) -> None:
        write = self._logger.error if self._is_new(event.item, "blocked", event.reason) else self._logger.debug
        write(event.name, **_item(event.item), reason=event.reason.value, message=event.message)

    @_log_event.register
    def _(self, event: ItemRetrying) -> None:
        write = self._logger.warning if self._is_new(event.item, "retrying", event.reason) else self._logger.debug
        write(
            event.name,
            **_item(event.item),
            attempt=event.attempt,
            reason=event.reason.value,
            message=event.message,
            duration_ms=_milliseconds(event.duration),
            **_known(retry_in_s=None if event.retry_in is None else round(event.retry_in, 3)),
        )

    @_log_event.register
    def _(self, event: ItemDrifted) -> None:
        self._logger.warning(event.name, **_item(event.item), message=event.message)

    @_log_event.register
    def _(self, event: ItemStale) -> None:
        self._logger.warning(event.name, **_item(event.item), message=event.message)

    @_log_event.register
    def _(self, event: UploadAborted) -> None:
        where = _item(event.item) if event.item else {"bucket": event.bucket, "key": event.key}
        self._logger.info(event.name, **where, upload_id=event.upload_id)

    def _is_new(self, item: Item, state: str, reason: Reason) -> bool:
        """Whether this state and reason were not logged yet since the item was last Synced. Of several files that are
        in conflict about one object, each is logged."""
        said, now = self._failing.get(item.id), (state, reason, item.folder_file)
        self._failing[item.id] = now
        return said != now


def _item(item: Item) -> dict[str, object]:
    at = item.destination
    return {"item": item.id, "source": item.shown_source, "store": at.store, "bucket": at.bucket, "key": at.key}


def _transfer(event: TransferEvent) -> dict[str, object]:
    fields = _item(event.item)
    if event.kind is not None:
        fields["kind"] = event.kind.value
    fields["attempt"] = event.attempt
    fields["transfer_id"] = event.transfer_id
    return fields


def _known(**fields: object) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _rate(count: int, seconds: float) -> int:
    """Bytes per second; 0 if no time passed."""
    return round(count / seconds) if seconds > 0 else 0
