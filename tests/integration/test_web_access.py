"""Which requests page and API refuse before a handler sees them: other origins, missing tokens, what is too large."""

import asyncio
import hmac
import re
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from mirrord.cli.api_client import ApiClient
from mirrord.errors import DaemonRefused
from mirrord.model import Secret, State
from mirrord.web.access import LARGEST_BODY, Access
from mirrord.web.application import application
from mirrord.web.client_rates import ClientRates
from mirrord.web.server import Server
from tests.support.scripted_control import ScriptedControl, item_of, one_metric

TOKEN, READ = "right-token", "reader"
READS = ("/metrics", "/api/v1/status", "/api/v1/items", "/api/v1/events", "/api/v1/openapi.json", "/api/v1/items/0123")
OPEN = ("/livez", "/readyz", "/", "/page.js", "/page.css")


class Site:
    """A server whose API has both tokens, and a client of it."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url, self.session = url, session
        self.host = url.removeprefix("http://")
        self.control = ScriptedControl()

    async def answer(self, method: str, path: str, token: str = "", **given: Any) -> tuple[int, Any]:
        """Status and body; of an error the body is a problem document with that status."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.session.request(
            method, self.url + path, headers={**headers, **given.pop("headers", {})}, **given
        ) as answer:
            if answer.status < 400:
                return answer.status, None
            assert answer.content_type == "application/problem+json"
            problem = await answer.json()
            assert (problem["status"], problem["type"]) == (answer.status, "about:blank")
            assert problem["detail"] == problem["message"]
            assert problem["instance"] == answer.url.raw_path
            return answer.status, problem


@pytest.fixture
def access() -> Access:
    return Access(Secret(TOKEN))


@pytest.fixture
async def site(access: Access) -> AsyncIterator[Site]:
    async with aiohttp.ClientSession() as session:
        made = Site("", session)
        async with Server("127.0.0.1:0", application(made.control, one_metric, access)) as server:
            made.url, made.host = server.url, server.url.removeprefix("http://")
            yield made


# ── pages of other origins ────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "http://{host}.evil.example"},
        {"Origin": "http://{host}@evil.example"},
        {"Origin": "file://"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://{host}"},
    ],
)
async def test_a_page_of_another_origin_changes_nothing_even_with_the_token(
    site: Site, headers: dict[str, str]
) -> None:
    sent = {name: text.format(host=site.host) for name, text in headers.items()}
    status, problem = await site.answer("POST", "/api/v1/reload", TOKEN, headers=sent)
    assert (status, problem["title"]) == (403, "Forbidden")
    assert "another origin" in problem["detail"]
    assert site.control.reloads == 0
    assert (await site.answer("GET", "/api/v1/status", headers=sent))[0] == 200, (
        "what it reads, browsers do not show it"
    )


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://{host}"},
        {"Origin": "https://mirror.example.org", "Host": "localhost", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "http://{host}", "Sec-Fetch-Site": "none"},
        {"Origin": "https://localhost", "Host": "localhost:443"},
        {"Origin": "http://LOCALHOST:80", "Host": "localhost"},
    ],
)
async def test_the_own_page_and_other_clients_may(site: Site, headers: dict[str, str]) -> None:
    sent = {name: text.format(host=site.host) for name, text in headers.items()}
    assert (await site.answer("POST", "/api/v1/reload", TOKEN, headers=sent))[0] == 200
    assert site.control.reloads == 1


async def test_no_origin_is_allowed_to_ask_first(site: Site) -> None:
    sent = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    async with site.session.options(site.url + "/api/v1/reload", headers=sent) as answer:
        assert answer.status == 403
        assert not [name for name in answer.headers if name.startswith("Access-Control-")]


# ── tokens ────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("access", [Access(Secret(TOKEN), Secret(READ)), Access(None, Secret(READ))])
async def test_with_a_read_token_nothing_is_read_without_it(site: Site, access: Access) -> None:
    for path in READS:
        for method in ("GET", "HEAD"):
            async with site.session.request(method, site.url + path) as refused:
                assert (refused.status, refused.headers["WWW-Authenticate"]) == (401, "Bearer"), path
        assert (await site.answer("GET", path, "wrong"))[0] == 401
    for path in READS[:3]:
        assert (await site.answer("GET", path, READ))[0] == 200, path
        assert (await site.answer("GET", path, TOKEN))[0] == (200 if access.token else 401), path
    for path in OPEN:
        assert (await site.answer("GET", path))[0] == 200, path


@pytest.mark.parametrize("access", [Access(Secret(TOKEN), Secret(READ))])
async def test_the_token_for_reading_changes_nothing(site: Site) -> None:
    assert (await site.answer("POST", "/api/v1/reload", READ))[0] == 401
    assert site.control.reloads == 0
    assert (await site.answer("POST", "/api/v1/reload", TOKEN))[0] == 200


async def test_tokens_are_compared_in_constant_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def different(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return False

    monkeypatch.setattr(hmac, "compare_digest", different)
    assert (await site.answer("POST", "/api/v1/reload", TOKEN))[0] == 401, "no other comparison decides"
    assert compared == [(TOKEN.encode(), TOKEN.encode())]


# ── bounds ────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("path", ["/api/v1/reload", "/api/v1/items/0123/restore"])
async def test_a_large_body_is_refused(site: Site, path: str) -> None:
    status, problem = await site.answer("POST", path, TOKEN, data=bytes(LARGEST_BODY + 1))
    assert (status, "16,384 bytes" in problem["detail"]) == (413, True)


async def test_a_large_body_of_unknown_length_is_refused(site: Site) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield bytes(LARGEST_BODY // 4)

    assert (await site.answer("POST", "/api/v1/items/0123/restore", TOKEN, data=chunks()))[0] == 413


async def test_a_body_that_does_not_arrive_ends_the_request(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mirrord.web.api.BODY_WITHIN", 0.05)
    item = site.control.put(item_of("a.bin"), State.SYNCED)
    head = (
        f"POST /api/v1/items/{item.id}/restore HTTP/1.1\r\nHost: {site.host}\r\n"
        f"Authorization: Bearer {TOKEN}\r\nContent-Length: 30\r\n\r\n"
    )
    assert await first_line(site.host, head + "{") == "HTTP/1.1 408 Request Timeout"


@pytest.mark.parametrize(
    ("path", "more", "status"),
    [
        ("/livez", "X: 1\r\n" * 70, 431),
        ("/livez", f"X: {'x' * 9000}\r\n", 431),
        ("/livez", f"X: {'x' * 200_000}", 431),
        (f"/{'x' * 9000}", "", 414),
    ],
    ids=["fields", "field", "endless", "path"],
)
async def test_a_head_is_bounded(site: Site, path: str, more: str, status: int) -> None:
    head = f"GET {path} HTTP/1.1\r\nHost: {site.host}\r\n{more}\r\n"
    assert f" {status} " in await first_line(site.host, head)


@pytest.mark.parametrize(
    "body",
    [
        "Transfer-Encoding: chunked\r\n\r\n5\r\nabcdeXX\r\n",
        "Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nabcde",
        "Content-Length: -1\r\n\r\n",
        "Content-Length: 50\r\n\r\ncut",
    ],
    ids=["chunk", "coding", "length", "cut"],
)
async def test_a_malformed_body_is_answered_by_a_problem_document_and_not_logged(
    site: Site, body: str, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await asyncio.open_connection(*site.host.split(":"))
    head = f"POST /api/v1/items/0123/restore HTTP/1.1\r\nHost: {site.host}\r\nAuthorization: Bearer {TOKEN}\r\n"
    writer.write((head + body).encode())
    if body.endswith("cut"):
        writer.write_eof()
        assert await reader.read() == b""
    else:
        status = await reader.readline()
        async with asyncio.timeout(30):
            headers = (await reader.readuntil(b"\r\n\r\n")).decode()
        assert b" 400 Bad Request" in status
        assert "Content-Type: application/problem+json" in headers
        assert "Server: mirrord" in headers
    writer.close()
    assert not caplog.records


@pytest.mark.parametrize("path", ["/livez", "/nowhere"])
@pytest.mark.parametrize("expected", ["\udcff", "202-accepted"])
async def test_an_unknown_expectation_is_refused_and_not_logged(
    site: Site, path: str, expected: str, caplog: pytest.LogCaptureFixture
) -> None:
    head = f"GET {path} HTTP/1.1\r\nHost: {site.host}\r\nExpect: {expected}\r\n\r\n"
    assert await first_line(site.host, head) == "HTTP/1.1 417 Expectation Failed"
    assert not caplog.records


async def test_a_connection_has_a_last_request(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mirrord.web.connections.MOST_REQUESTS", 3)
    reader, writer = await asyncio.open_connection(*site.host.split(":"))
    request = f"GET {{}} HTTP/1.1\r\nHost: {site.host}\r\n\r\n"
    writer.write("".join(request.format(path) for path in ("/livez", "/nowhere", "/livez", "/livez")).encode())
    async with asyncio.timeout(30):
        answers = (await reader.read()).decode()
    writer.close()
    assert re.findall("HTTP/1.1 [0-9]+|Connection: close", answers) == [
        *("HTTP/1.1 200", "HTTP/1.1 404", "HTTP/1.1 200", "Connection: close")
    ]


async def first_line(host: str, request: str) -> str:
    reader, writer = await asyncio.open_connection(*host.split(":"))
    writer.write(request.encode("utf-8", "surrogateescape"))
    async with asyncio.timeout(30):
        line = await reader.readline()
    writer.close()
    return line.decode().rstrip()


async def test_a_client_that_sends_too_much_is_told_when_to_ask_again() -> None:
    """Wherever its requests go, and with a token; probes are answered."""
    async with aiohttp.ClientSession() as session:
        site = Site("", session)
        app = application(site.control, one_metric, Access(Secret(TOKEN)), rates=ClientRates(0.01, 3))
        async with Server("127.0.0.1:0", app) as server:
            site.url = server.url
            paths = ("/", "/api/v1/status", "/nowhere", "/api/v1/items", "/page.js", "/metrics")
            statuses = [(await site.answer("GET", path, TOKEN))[0] for path in paths]
            assert statuses == [200, 200, 404, 429, 429, 429]
            status, problem = await site.answer("POST", "/api/v1/reload", TOKEN)
            assert (status, problem["detail"]) == (429, "this address sends more than 0.01 requests a second")
            async with session.get(f"{site.url}/metrics") as answer:
                assert 99 <= int(answer.headers["Retry-After"]) <= 100
            assert [(await site.answer("GET", path))[0] for path in ("/livez", "/readyz")] == [200, 200]


async def test_a_command_that_sends_too_much_waits_as_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `mirrord trigger` does for many items; not without an end, if other clients of its address send as much."""
    pauses, now, passes = list[float](), [0.0], True

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        now[0] += seconds if passes else 0

    monkeypatch.setattr("mirrord.cli.api_client.sleep", pause)
    async with aiohttp.ClientSession() as session:
        rates = ClientRates(0.5, 3, clock=lambda: round(now[0] * 1e9))
        app = application(Site("", session).control, one_metric, Access(Secret(TOKEN)), rates=rates)
        async with Server("127.0.0.1:0", app) as server, ApiClient(server.url, TOKEN) as api:
            for _ in range(6):
                await api.status()
            assert pauses == [2.0] * 3
            passes = False
            with pytest.raises(DaemonRefused, match=r"this address sends more than 0\.5 requests a second"):
                await api.status()
            assert len(pauses) == 12
