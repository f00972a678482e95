"""Export by OTLP: what a collector on a loopback port receives from the real command, and when nothing is sent."""

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.command import environment, mirrord
from tests.support.daemon import store_section
from tests.support.origin import Origin
from tests.support.weed import Server

MiB = 1024 * 1024
SECRET = "s3cret"


class Collector:
    """The requests so far, by path."""

    def __init__(self) -> None:
        self.received: list[tuple[str, bytes]] = []
        self.url = ""

    @property
    def spans(self) -> list[Span]:
        bodies = (ExportTraceServiceRequest.FromString(body) for path, body in self.received if path == "/v1/traces")
        return [span for one in bodies for of in one.resource_spans for scope in of.scope_spans for span in scope.spans]

    @property
    def metrics(self) -> set[str]:
        bodies = (ExportMetricsServiceRequest.FromString(body) for path, body in self.received if path == "/v1/metrics")
        return {
            metric.name
            for one in bodies
            for of in one.resource_metrics
            for scope in of.scope_metrics
            for metric in scope.metrics
        }


@pytest.fixture
def collector() -> Iterator[Collector]:
    found = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            packed = self.headers.get("Content-Encoding") == "gzip"
            found.received.append((self.path, gzip.decompress(body) if packed else body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.url = f"http://127.0.0.1:{server.server_address[1]}"
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield found
        server.shutdown()
        serving.join()


def attributes(given: Iterator[KeyValue] | object) -> dict[str, object]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in given}  # type: ignore[attr-defined]


def manifest(home: Path, origin: Origin, weed: Server, bucket: str) -> str:
    origin.publish("/small", b"small")
    origin.publish("/large", bytes(12 * MiB))
    entries = "".join(
        f"  - {{url: '{origin.url(f'/{key}')}?token={SECRET}', to: 's3://{bucket}/{key}', name: {key}, "
        "upload: {part_size: 5MiB, multipart_threshold: 5MiB}}\n"
        for key in ("small", "large", "absent")
    )
    (home / "m.yaml").write_text(f"{store_section(weed)}mirrors:\n{entries}")
    return "m.yaml"


async def test_spans_and_metrics_of_transfers(
    tmp_path: Path, origin: Origin, weed: Server, bucket: str, collector: Collector
) -> None:
    often = {"OTEL_BSP_SCHEDULE_DELAY": "100", "OTEL_METRIC_EXPORT_INTERVAL": "200"}  # little is left for the end
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, **often}
    done = await mirrord("sync", manifest(tmp_path, origin, weed, bucket), home=tmp_path, env=env)
    assert done.code == 1, "one source is absent"
    transfers = [span for span in collector.spans if span.name == "transfer"]
    found = {span.span_id: attributes(span.attributes) for span in transfers}
    by_key = {one["mirrord.key"]: one for one in found.values()}
    assert {key: one["mirrord.outcome"] for key, one in by_key.items()} == {"small": "completed", "large": "completed"}
    assert by_key["large"]["mirrord.bytes"] == 12 * MiB
    assert by_key["large"]["mirrord.store"] == "default"
    assert by_key["large"]["mirrord.bucket"] == bucket
    parts = [span for span in collector.spans if span.name == "part"]
    assert sum(int(str(attributes(one.attributes)["mirrord.bytes"])) for one in parts) == 12 * MiB
    assert {found[one.parent_span_id]["mirrord.key"] for one in parts} == {"large"}
    assert {"mirrord.transfers", "mirrord.transfer.bytes", "mirrord.transfer.duration"} <= collector.metrics
    sent = b"".join(body for _, body in collector.received)
    assert SECRET.encode() not in sent
    assert weed.secret_access_key.encode() not in sent


async def test_nothing_is_imported_or_sent_without_the_variable(
    tmp_path: Path, origin: Origin, weed: Server, bucket: str, collector: Collector
) -> None:
    (tmp_path / "opentelemetry.py").write_text("raise SystemExit('imported')")
    env = {"PYTHONPATH": f"{tmp_path}:{environment(tmp_path)['PYTHONPATH']}"}
    done = await mirrord("sync", manifest(tmp_path, origin, weed, bucket), home=tmp_path, env=env, fresh=True)
    assert "imported" not in done.output
    assert "2 copied" in done.out
    assert collector.received == []


async def test_without_the_extra_the_log_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "opentelemetry.py").write_text("raise ImportError('no module opentelemetry')")
    (tmp_path / "m.yaml").write_text("folders: [{path: inbox, to: 's3://bucket/'}]\n")
    (tmp_path / "inbox").mkdir()
    env = {
        "PYTHONPATH": f"{tmp_path}:{environment(tmp_path)['PYTHONPATH']}",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
    }
    done = await mirrord("sync", "m.yaml", home=tmp_path, env=env, fresh=True)
    assert "pip install 'mirrord[otel]'" in done.err, done.output
    assert "Traceback" not in done.output


async def test_a_collector_that_is_down_delays_the_end_by_seconds_at_most(
    tmp_path: Path, origin: Origin, weed: Server, bucket: str
) -> None:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    done = await mirrord("sync", manifest(tmp_path, origin, weed, bucket), home=tmp_path, env=env, seconds=60)
    assert "2 copied" in done.out, done.output
    assert "Traceback" not in done.output
    assert "Transient error" not in done.err, "a line for each try"
    assert SECRET not in done.output
