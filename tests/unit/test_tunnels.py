"""The request for a tunnel, and which answers of a proxy open one, however they arrive."""

import asyncio
from collections.abc import Iterator, Sequence

import pytest

from mirrord import tunnels
from mirrord.proxies import HttpPeer
from mirrord.tunnels import TunnelRefused, open_tunnel

ORIGIN, PROXY = HttpPeer.of("https://[fd00::1]:8443/x"), HttpPeer.of("http://me:p%40ss@proxy:3128")
OPEN = b"HTTP/1.1 200 Connection established\r\n\r\n"
NOT_HTTP, NO_END = "its answer is not HTTP", "its answer has no end within 64 KiB"


class Scripted:
    """A connection whose pieces arrive one by one; an exception is raised in place of a piece."""

    def __init__(self, pieces: Sequence[bytes | type[Exception]]) -> None:
        self.sent = b""
        self._pieces: Iterator[bytes | type[Exception]] = iter(pieces)

    def send(self, data: bytes) -> int:
        self.sent += data
        return len(data)

    def receive(self) -> bytes:
        piece = next(self._pieces, b"")
        if isinstance(piece, bytes):
            return piece
        raise piece

    @property
    def rest(self) -> list[bytes | type[Exception]]:
        return list(self._pieces)


async def opened(*pieces: bytes | type[Exception], proxy: HttpPeer = PROXY) -> Scripted:
    stream = Scripted(pieces)
    await open_tunnel(stream, ORIGIN, proxy)  # type: ignore[arg-type]
    return stream


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def readable(_: object) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(tunnels, "readable", readable)


async def test_the_request() -> None:
    head = b"CONNECT [fd00::1]:8443 HTTP/1.1\r\nHost: [fd00::1]:8443\r\n"
    assert (await opened(OPEN)).sent == head + b"Proxy-Authorization: Basic bWU6cEBzcw==\r\n\r\n"
    assert (await opened(OPEN, proxy=HttpPeer.of("http://proxy:3128"))).sent == head + b"\r\n"


async def test_the_target_always_has_its_port() -> None:
    stream = Scripted([OPEN])
    await open_tunnel(stream, HttpPeer.of("https://h/x"), PROXY)  # type: ignore[arg-type]
    assert stream.sent.startswith(b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n")


@pytest.mark.parametrize(
    "pieces",
    [
        [OPEN],
        [BlockingIOError, OPEN[:5], BlockingIOError, OPEN[5:]],
        [OPEN[i : i + 1] for i in range(len(OPEN))],
        [b"HTTP/1.0 200 OK\r\nVia: x\r\nContent-Length: 5\r\n\r\n"],
        [b"HTTP/1.1   200\r\n\r\n"],
        [b"HTTP/1.1 204 No\n\n"],
        [b"HTTP/1.1 299 Odd\r\n\r\n"],
        [b"HTTP/1.1 100 Continue\r\n\r\n" + OPEN],
        [b"HTTP/1.1 102 Processing\r\nX: y\r\n\r\n", b"HTTP/1.1 103 Hints\r\n\r\n", OPEN],
    ],
)
async def test_answers_that_open_a_tunnel(pieces: list[bytes | type[Exception]]) -> None:
    stream = await opened(*pieces, b"of the origin")
    assert stream.rest == [b"of the origin"], "nothing after the answer is read"


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 2\r\n\r\nno", 407),
        (b"HTTP/1.1 403 No\r\n\r\n", 403),
        (b"HTTP/1.0 502 Bad\n\n", 502),
        (b"HTTP/1.1 302 Found\r\nLocation: http://login/\r\n\r\n", 302),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 Busy\r\n\r\n", 503),
    ],
)
async def test_answers_that_open_none(answer: bytes, status: int) -> None:
    with pytest.raises(TunnelRefused, match=f"HTTP {status}") as caught:
        await opened(answer)
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (OPEN + b"early", "the proxy sent bytes before TLS began"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OPEN + b"early", "the proxy sent bytes before TLS began"),
        (b"odd s3cret\r\n\r\n", NOT_HTTP),
        (b"odd s3cret", NOT_HTTP),
        (b"HTTP/2 200\r\n\r\n", NOT_HTTP),
        (b"HTTP/1.1 2000 No\r\n\r\n", NOT_HTTP),
        (b"SSH-2.0-x", NOT_HTTP),
        (b"\x16\x03\x01", NOT_HTTP),
        (b"HTTP/1.1 200 OK\r\nX: " + b"s3cret" * 11_000, NO_END),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 3_000, NO_END),
        (b"HTTP/1.1 102 P\r\nX: s3cret\r\n\r\n" * 3_000 + OPEN[:-1], NO_END),
    ],
)
async def test_answers_that_are_none(answer: bytes, reason: str) -> None:
    with pytest.raises(TunnelRefused) as caught:
        await opened(answer, BlockingIOError, b"")
    assert (str(caught.value), caught.value.status) == (reason, None)


@pytest.mark.parametrize("before", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"])
async def test_a_proxy_that_closes_the_connection(before: bytes) -> None:
    with pytest.raises(ConnectionResetError):
        await opened(*([before] if before else []), b"")
