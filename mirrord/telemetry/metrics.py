"""Events as Prometheus metrics, in a registry of their own.

Owns the counters and the set of running transfers. Labels are bounded: stores, entries, files, folders and enums, never
items. Values that other parts own (totals by state, buffers, the queue) are read at each scrape.
"""

import platform
from collections.abc import Awaitable, Callable, Iterator, Mapping
from heapq import nlargest

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from mirrord._version import __version__
from mirrord.events import (
    Event,
    FolderRescanned,
    ItemChanged,
    ItemRetrying,
    ManifestLoaded,
    ManifestRejected,
    ManifestRemoved,
    TransferCompleted,
    TransferEvent,
    TransferFailed,
    TransferInterrupted,
    TransferProgress,
    TransferResumed,
    TransferStarted,
)
from mirrord.frozen import frozen
from mirrord.model import State, TransferKind
from mirrord.telemetry.event_method import EventMethod

DURATIONS = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600, 14400)
"""Buckets in seconds: from a small put on loopback to a large object that takes hours."""

MOST_STALE = 100
OTHERS = "(others)"


@frozen(kw_only=True)
class Readings:
    """Values that are read at each scrape, on the event loop. Each is fast; only `queue_items` may raise an error."""

    items: Callable[[], Mapping[State, int]]
    """How many items are in each state; an absent state counts 0."""
    staleness: Callable[[], Mapping[str, float]]
    """By entry: seconds since its stalest item was last equal to its source."""
    stores: Callable[[], Mapping[str, bool]]
    """Whether the last call to each store was answered."""
    folders: Callable[[], Mapping[str, str]]
    """How each folder is watched, by its entry: `events` or `poll`."""
    buffer_bytes: Callable[[], int]
    queue_items: Callable[[], Awaitable[int]]
    """How many items are due and not yet started."""
    folders_up: Callable[[], Mapping[str, bool]] = dict
    """Whether the last scan of each folder was complete; only folders that were scanned."""
    folder_scans: Callable[[], Mapping[str, float]] = dict
    """When each folder was last scanned, in seconds since the epoch; only folders that were scanned."""
    journal_works: Callable[[], bool] = lambda: True
    """Whether the last attempt to use the journal succeeded."""
    disk_free: Callable[[], int | None] = lambda: None
    """Bytes that mirrord may still use on the disk of the state; None: unknown."""


class Metrics:
    """`ports.Observer` that counts, and `render()`s. One per process: a switch of `prometheus_client` is global."""

    def __init__(self, readings: Readings) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # its `_created` series would double the number of series
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(_Readers(readings))
        self._count_due = readings.queue_items
        self._due = Gauge("mirrord_queue_items", "Items that are due and not yet started.", registry=self.registry)
        ProcessCollector(registry=self.registry)
        self._transfers = _TransferMetrics(self.registry)
        _register_build(self.registry)
        self._valid = Gauge(
            "mirrord_manifest_valid",
            "1 if the current content of the file is in force, 0 if it was rejected.",
            ["file"],
            registry=self.registry,
        )
        self._reloads = _counter(self.registry, "manifest_reloads", "Manifest files loaded, by outcome.", "outcome")
        self._rescans = _counter(self.registry, "folder_rescans", "Whole scans of a folder.", "folder", "cause")

    async def render(self) -> bytes:
        """All metrics, in Prometheus' text format 0.0.4."""
        self._due.set(await self._count_due())
        return generate_latest(self.registry)

    def __call__(self, event: Event) -> None:
        self._count(event)

    @EventMethod
    def _count(self, event: Event) -> None:
        self._transfers.count(event)

    @_count.register
    def _(self, event: ManifestLoaded) -> None:
        self._count_file(event.file, "loaded", 1)

    @_count.register
    def _(self, event: ManifestRejected) -> None:
        self._count_file(event.file, "rejected", 0)

    @_count.register
    def _(self, event: ManifestRemoved) -> None:
        self._reloads.labels("removed").inc()
        self._valid.remove_by_labels({"file": _label(event.file)})

    def _count_file(self, file: str, outcome: str, valid: int) -> None:
        self._reloads.labels(outcome).inc()
        self._valid.labels(_label(file)).set(valid)

    @_count.register
    def _(self, event: FolderRescanned) -> None:
        self._rescans.labels(_label(event.folder), event.cause).inc()


class _TransferMetrics:
    """Counts attempts, parts, bytes and retries. Owns the set of running transfers."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._running: dict[str, tuple[str, int, int]] = {}  # item id -> transfer id, bytes read, bytes sent
        in_flight = Gauge("mirrord_transfers_in_flight", "Running transfers.", registry=registry)
        in_flight.set_function(lambda: len(self._running))
        self._ends = _counter(registry, "transfers", "Attempts that ended.", "store", "kind", "outcome")
        self._bytes = _counter(
            registry,
            "transfer_bytes",
            "Bytes read from sources, and sent and confirmed by stores.",
            "store",
            "direction",
        )
        self._durations = Histogram(
            "mirrord_transfer_duration_seconds",
            "Completed attempts, from check to record.",
            buckets=DURATIONS,
            registry=registry,
        )
        self._parts = _counter(
            registry, "parts", "Parts of completed multipart uploads, and how many of them were resumed.", "outcome"
        )
        self._retries = _counter(registry, "retries", "Failed checks and transfers that will be retried.", "reason")

    @EventMethod
    def count(self, event: Event) -> None:
        """Events without a metric are ignored."""

    @count.register
    def _(self, event: TransferStarted) -> None:
        self._running[event.item.id] = (event.transfer_id, 0, 0)

    @count.register
    def _(self, event: TransferResumed) -> None:
        """Bytes of an earlier attempt were counted by that attempt."""
        self._running[event.item.id] = (event.transfer_id, event.bytes, event.bytes)
        self._parts.labels("resumed").inc(event.parts)

    @count.register
    def _(self, event: TransferProgress) -> None:
        self._moved(event, event.bytes_read, event.bytes_sent)

    def _moved(self, event: TransferEvent, bytes_read: int, bytes_sent: int) -> None:
        """Count the bytes that this transfer moved since its last event."""
        transfer_id, read, sent = self._running.get(event.item.id, ("", 0, 0))
        if transfer_id != event.transfer_id:
            read = sent = 0
        store = _label(event.item.destination.store)
        self._bytes.labels(store, "read").inc(max(0, bytes_read - read))
        self._bytes.labels(store, "sent").inc(max(0, bytes_sent - sent))
        self._running[event.item.id] = (event.transfer_id, bytes_read, bytes_sent)

    @count.register
    def _(self, event: TransferCompleted) -> None:
        moved = 0 if event.copied.reused else event.copied.size
        self._moved(event, moved, moved)  # a small put has no progress events
        self._ended(event, "completed")
        self._durations.observe(event.duration)
        if event.copied.kind is TransferKind.MULTIPART:
            self._parts.labels("completed").inc(event.copied.parts)

    @count.register
    def _(self, event: TransferFailed) -> None:
        self._ended(event, "failed")
        if event.retry_in is not None:
            self._retries.labels(event.reason.value).inc()

    @count.register
    def _(self, event: ItemRetrying) -> None:
        self._retries.labels(event.reason.value).inc()

    @count.register
    def _(self, event: TransferInterrupted) -> None:
        self._ended(event, "interrupted")

    def _ended(self, event: TransferEvent, outcome: str) -> None:
        self._running.pop(event.item.id, None)
        kind = event.kind.value if event.kind else "unknown"
        self._ends.labels(_label(event.item.destination.store), kind, outcome).inc()

    @count.register
    def _(self, event: ItemChanged) -> None:
        """An attempt without an end event (the journal failed) ends when its item gets another state."""
        if event.state is not State.TRANSFERRING:
            self._running.pop(event.item.id, None)


def _counter(registry: CollectorRegistry, name: str, text: str, *labels: str) -> Counter:
    return Counter(f"mirrord_{name}", text, labels, registry=registry)


def _register_build(registry: CollectorRegistry) -> None:
    text = "Always 1; the labels name the version."
    build = Gauge("mirrord_build_info", text, ["version", "python"], registry=registry)
    build.labels(__version__, platform.python_version()).set(1)


class _Readers(Collector):
    """The gauges whose values are read at each scrape."""

    def __init__(self, readings: Readings) -> None:
        self._readings = readings

    def collect(self) -> Iterator[GaugeMetricFamily]:
        readings = self._readings
        items = readings.items()
        states = {state.value: float(items.get(state, 0)) for state in State}
        up = {store: float(answers) for store, answers in readings.stores().items()}
        yield _gauge("items", "Items by state.", "state", states)
        yield _gauge(
            "item_staleness_seconds",
            f"Seconds since the entry's stalest item was last equal to its source; the {MOST_STALE} stalest entries.",
            "entry",
            stalest(readings.staleness()),
        )
        yield _gauge("store_up", "1 if the last call to the store was answered.", "store", up)
        yield _watching(readings.folders())
        readable = {folder: float(complete) for folder, complete in readings.folders_up().items()}
        yield _gauge("folder_up", "1 if the last scan read the whole folder.", "folder", readable)
        yield _gauge(
            "folder_last_scan_timestamp_seconds",
            "Time of the last scan of the folder, seconds since the epoch.",
            "folder",
            readings.folder_scans(),
        )
        yield GaugeMetricFamily("mirrord_buffer_bytes", "Part buffers in use.", value=readings.buffer_bytes())
        yield _state_disk(readings)
        yield GaugeMetricFamily(
            "mirrord_journal_writable",
            "1 if the journal works, 0 if the last attempt to use it failed: nothing is checked or copied then.",
            value=float(readings.journal_works()),
        )


def _state_disk(readings: Readings) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "mirrord_state_disk_free_bytes", "Free space for mirrord on the disk of the state directory.", labels=[]
    )
    if (free := readings.disk_free()) is not None:
        family.add_metric([], free)
    return family


def stalest(entries: Mapping[str, float]) -> Mapping[str, float]:
    """The stalest entries, and under `OTHERS` the maximum of all others. One series for each of many entries would make
    every scrape large."""
    if len(entries) <= MOST_STALE:
        return entries
    order = nlargest(MOST_STALE + 1, entries.items(), key=lambda one: one[1])
    return dict(order[:MOST_STALE]) | {OTHERS: order[MOST_STALE][1]}


def _gauge(name: str, text: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"mirrord_{name}", text, labels=[label])
    for key, value in values.items():
        family.add_metric([_label(key)], value)
    return family


def _watching(folders: Mapping[str, str]) -> GaugeMetricFamily:
    text = "1 for the mode in use: events, or poll."
    family = GaugeMetricFamily("mirrord_folder_watching", text, labels=["folder", "mode"])
    for folder, watching in folders.items():
        for mode in ("events", "poll"):
            family.add_metric([_label(folder), mode], float(mode == watching))
    return family


def _label(text: str) -> str:
    """The name as valid UTF-8: file names may hold other bytes."""
    return text.encode("utf-8", "replace").decode()
