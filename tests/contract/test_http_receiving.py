"""Large bodies of known length are received straight into the reader's buffers: both event loops, plain and TLS."""

import asyncio
import os
import ssl
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
import uvloop

from mirrord.errors import SourceUnavailable
from mirrord.ports import ByteStream
from mirrord.sockets import TlsStream
from mirrord.sources.http import HttpSources
from mirrord.sources.http.protocol import HttpConnector, HttpProtocol
from mirrord.sources.http.receiver import BodyReceiver
from mirrord.sources.http.tls import TlsTransport
from mirrord.units import KiB, MiB
from tests.support.raw_origin import RawOrigin, Sends, chunks, raw_origin, response
from tests.support.reading import drained, item_of, probed

BODY = os.urandom(3 * MiB + 7)
HEAD = response(f"Content-Length: {len(BODY)}", 'ETag: "1"')
CERTIFICATE = Path(__file__).parents[1] / "support" / "selfsigned.pem"
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}

Reading = Callable[[ByteStream], Awaitable[None]]


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of the bodies that went past the parser."""
    lengths: list[int] = []
    ask = HttpProtocol.receiver

    def receiver(self: HttpProtocol, left: int) -> BodyReceiver | None:
        made = ask(self, left)
        lengths.extend([left] if made else [])
        return made

    monkeypatch.setattr(HttpProtocol, "receiver", receiver)
    return lengths


class Net:
    """Runs one origin and one source on an event loop."""

    def __init__(self, loop: str, tls: bool) -> None:
        self._loop = LOOPS[loop]
        self._tls: ssl.SSLContext | None = None
        if tls:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(CERTIFICATE)

    def run(self, answer: bytes | Sends, *readings: Reading, stays: bool = True, **http: object) -> RawOrigin:
        """Answer each request with `answer`; for each of `readings`, one after the other, open the source and read."""

        async def main() -> RawOrigin:
            async with raw_origin(answer, stays=stays, tls=self._tls) as origin, HttpSources() as sources:
                for reading in readings:
                    it = sources.source(item_of(origin.url, **{"idle_timeout": 5.0, **http}))
                    async with it, it.open(await probed(it)) as stream:
                        await reading(stream)
                await asyncio.sleep(0)
                return origin

        with asyncio.Runner(loop_factory=self._loop) as runner:
            return runner.run(main())


@pytest.fixture(params=[(loop, tls) for loop in LOOPS for tls in (False, True)], ids=lambda it: f"{it[0]}-tls={it[1]}")
def net(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Net:
    trusting = ssl.create_default_context(cafile=CERTIFICATE)
    monkeypatch.setattr("mirrord.sources.http.client.HttpConnector", partial(HttpConnector, ssl=trusting))
    return Net(*request.param)


def reads(expected: bytes, view: int = MiB) -> Reading:
    """Reads the whole body through one buffer of `view` bytes."""

    async def reading(stream: ByteStream) -> None:
        assert await drained(stream, view) == expected

    return reading


def fails_after(count: int, words: str) -> Reading:
    """Reads `count` bytes, all that arrived, and then the error."""

    async def reading(stream: ByteStream) -> None:
        view, got = memoryview(bytearray(len(BODY))), 0
        while got < count:
            got += await stream.readinto(view[got:])
        assert view[:got] == BODY[:count]
        with pytest.raises(SourceUnavailable, match=words):
            await stream.readinto(view[got:])

    return reading


@pytest.mark.parametrize("view", [100 * KiB + 1, MiB, len(BODY) + 1])
def test_bodies_arrive_whole_over_one_connection(net: Net, received: list[int], view: int) -> None:
    origin = net.run(HEAD + BODY, *[reads(BODY, view)] * 3)
    assert origin.connections == 1
    assert len(received) == 3
    assert all(0 < left <= len(BODY) for left in received)


def test_bytes_after_the_body_close_the_connection(net: Net, received: list[int]) -> None:
    origin = net.run(HEAD + BODY + HEAD, *[reads(BODY)] * 3)
    assert origin.connections == 3
    assert len(received) == 3


def test_a_server_that_closes_after_the_body(net: Net, received: list[int]) -> None:
    origin = net.run(HEAD + BODY, *[reads(BODY)] * 2, stays=False)
    assert origin.connections == 2
    assert len(received) == 2


def test_a_body_that_is_cut_short(net: Net, received: list[int]) -> None:
    net.run(HEAD + BODY[: 2 * MiB], fails_after(2 * MiB, f"cut short at {2 * MiB} of {len(BODY)} bytes"), stays=False)
    assert received


def test_a_connection_that_breaks(net: Net, received: list[int]) -> None:
    async def broken(writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + BODY[: 2 * MiB])
        await writer.drain()
        await asyncio.sleep(0.1)
        writer.transport.abort()

    async def reading(stream: ByteStream) -> None:
        with pytest.raises(SourceUnavailable, match="cut short"):
            await drained(stream, len(BODY))

    net.run(broken, reading)
    assert received


def test_a_silent_server(net: Net, received: list[int]) -> None:
    net.run(HEAD + BODY[: 2 * MiB], fails_after(2 * MiB, r"silent for 0\.2 s"), idle_timeout=0.2)
    assert received


def test_a_server_below_the_minimum_rate(net: Net, received: list[int]) -> None:
    async def trickles(writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD)
        while not writer.is_closing():
            writer.write(b"x" * 10)
            await writer.drain()
            await asyncio.sleep(0.02)

    async def reading(stream: ByteStream) -> None:
        with pytest.raises(SourceUnavailable, match="slower than min_rate"):
            await drained(stream, len(BODY))

    net.run(trickles, reading, idle_timeout=0.3, min_rate=KiB)
    assert received


def test_bytes_of_a_slow_server_are_counted_before_the_buffer_is_full(
    net: Net, received: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirrord.sources.http.body._LONGEST_RECEIVE", 0.05)

    async def pauses(writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + BODY[:MiB])
        await writer.drain()
        await asyncio.sleep(0.4)
        writer.write(BODY[MiB:])

    async def reading(stream: ByteStream) -> None:
        view, got = memoryview(bytearray(len(BODY))), 0
        while got < MiB:
            got += await stream.readinto(view[got:])
        assert got == MiB
        while got < len(BODY):
            got += await stream.readinto(view[got:])
        assert view == BODY
        assert await stream.readinto(view) == 0

    net.run(pauses, reading)
    assert received


def test_nothing_is_written_to_a_buffer_after_its_read_was_cancelled(net: Net, received: list[int]) -> None:
    goes_on = asyncio.Event()

    async def pauses(writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + BODY[:MiB])
        await goes_on.wait()
        writer.write(BODY[MiB:])

    async def reading(stream: ByteStream) -> None:
        view, got = memoryview(bytearray(len(BODY))), 0
        while got < MiB:
            got += await stream.readinto(view[got:MiB])
        task = asyncio.ensure_future(stream.readinto(view[MiB:]))
        await asyncio.sleep(0.05)
        task.cancel()
        goes_on.set()
        await asyncio.sleep(0.05)
        assert task.cancelled()
        assert not any(view[MiB:])

    net.run(pauses, reading)
    assert received


class Decrypting:
    """Threads begin to decrypt, and go on when `goes_on` is set. `running`: threads that have begun."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.goes_on, self.begun, self.running = threading.Event(), threading.Event(), 0
        self.transports: list[TlsTransport] = []
        self._decrypt, self._receive = TlsStream.receive_into, TlsTransport.receive_into
        monkeypatch.setattr(TlsStream, "receive_into", lambda stream, view: self.decrypt(stream, view))
        monkeypatch.setattr(TlsTransport, "receive_into", lambda *given: self.receive(*given))

    def decrypt(self, stream: TlsStream, view: memoryview) -> int:
        if threading.current_thread() is threading.main_thread():
            return self._decrypt(stream, view)
        self.running += 1
        self.begun.set()
        self.goes_on.wait(10)
        try:
            return self._decrypt(stream, view)
        finally:
            self.running -= 1

    async def receive(self, transport: TlsTransport, view: memoryview, most: float) -> int:
        self.transports.append(transport)
        return await self._receive(transport, view, most)


@pytest.mark.parametrize("net", [("asyncio", True), ("uvloop", True)], indirect=True, ids=lambda it: it[0])
def test_a_cancelled_read_ends_after_the_thread_that_decrypts(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the thread would write to the buffer, and use a connection, that others have already."""
    thread = Decrypting(monkeypatch)

    async def reading(stream: ByteStream) -> None:
        task = asyncio.ensure_future(drained(stream, len(BODY)))
        await asyncio.to_thread(thread.begun.wait, 10)
        task.cancel()
        await asyncio.sleep(0.05)
        assert not task.done()
        thread.goes_on.set()
        await asyncio.wait((task,))
        assert task.cancelled()
        assert not thread.running

    net.run(HEAD + BODY, reading)


@pytest.mark.parametrize("net", [("asyncio", True), ("uvloop", True)], indirect=True, ids=lambda it: it[0])
def test_a_socket_stays_open_for_the_thread_that_decrypts(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the thread could read from another connection that has got the number of the descriptor."""
    thread = Decrypting(monkeypatch)

    async def reading(stream: ByteStream) -> None:
        task = asyncio.ensure_future(drained(stream, len(BODY)))
        await asyncio.to_thread(thread.begun.wait, 10)
        transport = thread.transports[0]
        transport.close()
        assert transport.get_extra_info("socket").fileno() >= 0
        thread.goes_on.set()
        with pytest.raises(SourceUnavailable, match="cut short"):
            await task
        assert transport.get_extra_info("socket").fileno() < 0

    net.run(HEAD + BODY[: 2 * MiB], reading)


def test_a_reader_that_does_not_read_stops_the_server(net: Net) -> None:
    sent = 0

    async def counts(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(response(f"Content-Length: {200 * MiB}", 'ETag: "1"'))
        for _ in range(200):
            writer.write(BODY[:MiB])
            await writer.drain()
            sent += MiB

    async def reading(stream: ByteStream) -> None:
        view = memoryview(bytearray(MiB))
        for _ in range(5):
            await stream.readinto(view)
        before = -1
        while before != sent:
            before = sent
            await asyncio.sleep(0.1)
        assert sent < 100 * MiB

    net.run(counts, reading)


@pytest.mark.parametrize(
    "answer",
    [
        response("Transfer-Encoding: chunked", body=chunks(BODY, 64 * KiB)),
        response(f"Content-Length: {200 * KiB}", body=BODY[: 200 * KiB]),
    ],
    ids=["chunked", "small"],
)
def test_other_bodies_pass_the_parser(net: Net, received: list[int], answer: bytes) -> None:
    body = BODY if b"chunked" in answer else BODY[: 200 * KiB]
    origin = net.run(answer, *[reads(body)] * 2)
    assert (origin.connections, received) == (1, [])
