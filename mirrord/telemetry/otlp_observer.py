"""Events as OpenTelemetry spans and metrics, sent by OTLP over HTTP in threads of the SDK.

Owns the spans of running transfers. Queues are bounded: the SDK drops spans while the collector is too slow. Attributes
are ids, names of stores, buckets and keys, sizes and reasons; never a source, a message or a secret.
"""

import time
from collections.abc import Mapping
from logging import ERROR, getLogger
from threading import Thread
from types import TracebackType
from typing import Self

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, StatusCode, set_span_in_context
from opentelemetry.util.types import AnyValue

from mirrord._version import __version__
from mirrord.events import (
    Event,
    ItemChanged,
    ItemRetrying,
    TransferCompleted,
    TransferEvent,
    TransferFailed,
    TransferInterrupted,
    TransferProgress,
    TransferResumed,
    TransferStarted,
)
from mirrord.model import State, TransferKind
from mirrord.telemetry.event_method import EventMethod

CLOSE = 3.0
"""Seconds at most for the last export."""


class _Running:
    """One running transfer: its span, and what was counted of it so far, in bytes."""

    def __init__(self, span: Span) -> None:
        self.span = span
        self.read = self.sent = 0
        self.confirmed_at = time.time_ns()
        """When the store last confirmed bytes; at first the start."""


class OtlpObserver:
    """`ports.Observer` between `with`, which exports the rest at its end, for `CLOSE` seconds at most."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        getLogger("opentelemetry").setLevel(ERROR)  # else a line for each try, and for each span that is dropped
        named = {} if environ.get("OTEL_SERVICE_NAME") else {"service.name": "mirrord"}
        resource = Resource.create({**named, "service.version": __version__})
        self._traces = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        reader = PeriodicExportingMetricReader(OTLPMetricExporter())
        self._metrics = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
        self._tracer = self._traces.get_tracer("mirrord", __version__)
        meter = self._metrics.get_meter("mirrord", __version__)
        self._ends = meter.create_counter("mirrord.transfers", "1", "Attempts that ended.")
        self._bytes = meter.create_counter("mirrord.transfer.bytes", "By", "Bytes read from sources, sent to stores.")
        self._durations = meter.create_histogram("mirrord.transfer.duration", "s", "Completed attempts.")
        self._retries = meter.create_counter("mirrord.retries", "1", "Failed checks and transfers that are retried.")
        self._running: dict[str, _Running] = {}  # by the item's id

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for running in self._running.values():
            running.span.end()
        closing = Thread(target=self._close, name="otlp-close", daemon=True)
        closing.start()
        closing.join(CLOSE)

    def _close(self) -> None:
        self._traces.shutdown()
        self._metrics.shutdown()

    def __call__(self, event: Event) -> None:
        self._count(event)

    @EventMethod
    def _count(self, event: Event) -> None:
        """Other events are not exported."""

    @_count.register
    def _(self, event: TransferStarted) -> None:
        at = event.item.destination
        attributes: dict[str, AnyValue] = {
            "mirrord.item": event.item.id,
            "mirrord.transfer_id": event.transfer_id,
            "mirrord.store": _text(at.store),
            "mirrord.bucket": _text(at.bucket),
            "mirrord.key": _text(at.key),
            "mirrord.attempt": event.attempt,
        }
        self._running[event.item.id] = _Running(self._tracer.start_span("transfer", attributes=attributes))

    @_count.register
    def _(self, event: TransferResumed) -> None:
        if (running := self._running.get(event.item.id)) is not None:
            running.read = running.sent = event.bytes
            running.span.set_attribute("mirrord.resumed_bytes", event.bytes)

    @_count.register
    def _(self, event: TransferProgress) -> None:
        if (running := self._running.get(event.item.id)) is not None:
            self._moved(event, running, event.bytes_read, event.bytes_sent)

    def _moved(self, event: TransferEvent, running: _Running, read: int, sent: int) -> None:
        """Count what was moved since the last event. What the store confirmed together is the span of a part."""
        store, confirmed = _text(event.item.destination.store), sent - running.sent
        self._bytes.add(max(0, read - running.read), {"store": store, "direction": "read"})
        self._bytes.add(max(0, confirmed), {"store": store, "direction": "sent"})
        running.read, running.sent = read, sent
        if confirmed > 0 and event.kind is TransferKind.MULTIPART:
            context = set_span_in_context(running.span)
            part: dict[str, AnyValue] = {"mirrord.bytes": confirmed, "mirrord.outcome": "completed"}
            began, running.confirmed_at = running.confirmed_at, time.time_ns()
            self._tracer.start_span("part", context, attributes=part, start_time=began).end(running.confirmed_at)

    @_count.register
    def _(self, event: TransferCompleted) -> None:
        if (running := self._running.get(event.item.id)) is not None:
            moved = 0 if event.copied.reused else event.copied.size
            self._moved(event, running, max(moved, running.read), max(moved, running.sent))
            running.span.set_attribute("mirrord.bytes", event.copied.size)
        self._durations.record(event.duration)
        self._ended(event, "completed")

    @_count.register
    def _(self, event: TransferFailed) -> None:
        if (running := self._running.get(event.item.id)) is not None:
            running.span.set_attribute("mirrord.reason", event.reason.value)
            running.span.set_status(StatusCode.ERROR, event.reason.value)
        if event.retry_in is not None:
            self._retries.add(1, {"reason": event.reason.value})
        self._ended(event, "failed")

    @_count.register
    def _(self, event: ItemRetrying) -> None:
        self._retries.add(1, {"reason": event.reason.value})

    @_count.register
    def _(self, event: TransferInterrupted) -> None:
        self._ended(event, "interrupted")

    def _ended(self, event: TransferEvent, outcome: str) -> None:
        kind = event.kind.value if event.kind else "unknown"
        self._ends.add(1, {"store": _text(event.item.destination.store), "kind": kind, "outcome": outcome})
        if (running := self._running.pop(event.item.id, None)) is not None:
            running.span.set_attributes({"mirrord.kind": kind, "mirrord.outcome": outcome})
            running.span.end()

    @_count.register
    def _(self, event: ItemChanged) -> None:
        """An attempt without an end event (the journal failed) ends when its item gets another state."""
        if event.state is not State.TRANSFERRING and (running := self._running.pop(event.item.id, None)) is not None:
            running.span.end()


def _text(name: str) -> str:
    """The name as valid UTF-8: names of files may hold other bytes."""
    return name.encode("utf-8", "replace").decode()
