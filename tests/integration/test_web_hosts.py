"""Host names under which page and API answer (SPEC section 7); others get 421."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from mirrord.model import Secret
from mirrord.web.access import Access
from mirrord.web.application import application
from mirrord.web.hosts import hosts_of
from mirrord.web.server import Server
from tests.support.daemon import running
from tests.support.scripted_control import ScriptedControl, no_metrics, one_metric

PATHS = ("/", "/page.js", "/metrics", "/api/v1/status", "/api/v1/events", "/api/v1/openapi.json", "/nowhere")


async def raw(url: str, request: str) -> tuple[int, dict[str, str], bytes]:
    """Send these bytes; status, headers and body of the answer."""
    at = urlsplit(url)
    reader, writer = await asyncio.open_connection(at.hostname, at.port)
    try:
        writer.write(request.encode("latin-1"))
        async with asyncio.timeout(30):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {name.lower(): text for name, _, text in (line.partition(": ") for line in head[1:] if line)}
            sent = 0 if request.startswith("HEAD") else int(headers.get("content-length", 0))
            body = await reader.readexactly(sent)
    finally:
        writer.close()
    return int(head[0].split()[1]), headers, body


async def asked(url: str, host: str, path: str = "/api/v1/status", method: str = "GET") -> int:
    return (await raw(url, f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"))[0]


@pytest.fixture
async def url() -> AsyncIterator[str]:
    hosts = hosts_of("127.0.0.1", "node-7", ["*.example.org"])
    async with Server(
        "127.0.0.1:0", application(ScriptedControl(), one_metric, Access(Secret("token"), hosts=hosts))
    ) as server:
        yield server.url


@pytest.mark.parametrize("path", PATHS)
async def test_a_strange_name_is_answered_nowhere(url: str, path: str) -> None:
    assert await asked(url, "evil.example", path) == 421
    assert await asked(url, "evil.example:8420", path) == 421


async def test_the_answer_is_a_problem_document_that_names_the_remedy(url: str) -> None:
    status, headers, body = await raw(url, "GET / HTTP/1.1\r\nHost: evil.example:1\r\n\r\n")
    problem = json.loads(body)
    assert (status, headers["content-type"]) == (421, "application/problem+json")
    assert (problem["status"], problem["title"], problem["type"]) == (421, "Misdirected Request", "about:blank")
    assert "daemon.hosts" in problem["detail"]
    assert headers["x-content-type-options"] == "nosniff"


async def test_post_is_refused_before_the_token_is_checked(url: str) -> None:
    request = (
        "POST /api/v1/reload HTTP/1.1\r\nHost: evil.example\r\nAuthorization: Bearer token\r\nContent-Length: 0\r\n\r\n"
    )
    assert (await raw(url, request))[0] == 421


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1:1", "[::1]", "192.0.2.7:8420", "NODE-7.", "a.b.example.org:1"]
)
async def test_our_names_are_answered_whatever_the_port(url: str, host: str) -> None:
    assert await asked(url, host) == 200
    assert await asked(url, host, "/metrics") == 200


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
async def test_probes_are_answered_by_any_name(url: str, path: str) -> None:
    assert await asked(url, "evil.example", path) == 200


async def test_a_request_that_names_no_host_is_answered(url: str) -> None:
    assert (await raw(url, "GET /api/v1/status HTTP/1.0\r\n\r\n"))[0] == 200


async def test_the_host_before_the_path_counts(url: str) -> None:
    """RFC 9112 3.2.2: an absolute request target overrides Host."""
    for line in ("GET http://evil.example/api/v1/status HTTP/1.1", "GET http://evil.example:80/ HTTP/1.0"):
        assert (await raw(url, f"{line}\r\nHost: localhost\r\n\r\n"))[0] == 421
    assert (await raw(url, "GET http://localhost/api/v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n"))[0] == 200


@pytest.mark.parametrize(
    "path", ["/", "/page.css", "/livez", "/metrics", "/api/v1/status", "/api/v1/items", "/nowhere"]
)
async def test_head_is_get_without_a_body(url: str, path: str) -> None:
    at = urlsplit(url)
    reader, writer = await asyncio.open_connection(at.hostname, at.port)
    request = "{} {} HTTP/1.1\r\nHost: localhost\r\nConnection: {}\r\n\r\n"
    writer.write(request.format("HEAD", path, "keep-alive").encode() + request.format("GET", path, "close").encode())
    async with asyncio.timeout(30):
        head, _, rest = (await reader.read()).partition(b"\r\n\r\n")
        got, _, body = rest.partition(b"\r\n\r\n")
    writer.close()
    assert _lines(head) == _lines(got), "both answers must be equal, without other bytes between them"
    assert f"content-length: {len(body)}" in _lines(got)


def _lines(head: bytes) -> list[str]:
    return [line for line in head.decode().lower().split("\r\n") if not line.startswith(("date:", "connection:"))]


async def test_head_of_the_events_opens_no_stream_and_head_of_what_is_posted_is_refused(url: str) -> None:
    status, headers, _ = await raw(url, "HEAD /api/v1/events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert (status, headers["content-type"]) == (200, "text/event-stream")
    assert await asked(url, "localhost", "/api/v1/reload", "HEAD") == 405


async def test_head_of_a_daemon_that_is_not_ready() -> None:
    control = ScriptedControl()
    control.reason_not_ready = "stopping"
    async with Server("127.0.0.1:0", application(control, no_metrics, Access(None))) as server:
        assert await asked(server.url, "localhost", "/readyz", "HEAD") == 503


async def test_names_of_the_manifest_flag_and_variable_are_answered(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text("daemon: {hosts: [mirror.example.org, '*.corp.example']}\n")
    async with running(tmp_path, "m.yaml") as daemon:
        for host in ("mirror.example.org:443", "a.corp.example", "localhost", "127.0.0.1", socket.gethostname()):
            assert await asked(daemon.url, host) == 200, host
        for host in ("evil.example", "corp.example", f"{socket.gethostname()}.evil.example"):
            assert await asked(daemon.url, host) == 421, host
        assert await asked(daemon.url, "evil.example", "/livez") == 200
        assert await daemon.stop() == 0
    async with running(tmp_path, "m.yaml", env={"MIRRORD_HOSTS": "a.example, b.example"}) as daemon:
        assert [await asked(daemon.url, host) for host in ("a.example", "b.example", "mirror.example.org")] == [
            200,
            200,
            421,
        ]
        assert await daemon.stop() == 0
    async with running(tmp_path, "m.yaml", "--hosts", "*.flag.example", env={"MIRRORD_HOSTS": "a.example"}) as daemon:
        assert [await asked(daemon.url, host) for host in ("x.flag.example", "a.example")] == [200, 421]
        assert await daemon.stop() == 0
