"""TLS over a stream, without sockets: a renegotiation (TLS 1.2) while bytes are sent, and reads into a view."""

import os
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pytest

from mirrord.sockets import Stream, TlsStream


class Wire:
    """A stream that takes everything."""

    ended = False

    def __init__(self) -> None:
        self.sent = b""

    def send(self, data: memoryview | bytes) -> int:
        self.sent += bytes(data)
        return len(data)

    def flush(self) -> bool:
        return True


class Renegotiating:
    """A TLS context and its connection. The first write continues a handshake that the store began."""

    def __init__(self) -> None:
        self.writes = 0

    def wrap_bio(self, _incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, **_: object) -> "Renegotiating":
        self._outgoing = outgoing
        return self

    def write(self, data: bytes) -> int:
        self.writes += 1
        if self.writes == 1:
            self._outgoing.write(b"<hello>")
            raise ssl.SSLWantReadError
        self._outgoing.write(data)
        return len(data)


def test_bytes_wait_for_the_end_of_a_handshake_that_the_store_began() -> None:
    """An OSError that is no BlockingIOError would stop the writing, and the request would wait until its deadline."""
    wire = Wire()
    stream = TlsStream(cast("Stream", wire), cast("Any", Renegotiating()), "store")
    with pytest.raises(BlockingIOError):
        stream.send(b"body")
    assert wire.sent == b"<hello>"
    assert stream.send(b"body") == 4
    assert wire.sent == b"<hello>body"


CERTIFICATE = Path(__file__).parents[1] / "support" / "selfsigned.pem"
BODY = os.urandom(100_000)


class Pipe(Wire):
    """Gives the bytes of `received` in pieces; then it waits, or raises `then`."""

    def __init__(self) -> None:
        super().__init__()
        self.received = b""
        self.then: OSError | None = None

    def receive(self) -> bytes:
        if not self.received:
            raise self.then or BlockingIOError
        piece, self.received = self.received[:5000], self.received[5000:]
        return piece


@pytest.fixture
def tls() -> tuple[TlsStream, Pipe, ssl.SSLObject, ssl.MemoryBIO]:
    """A client after its handshake and the pipe below it; the server, and what it sends."""
    pipe, server_in, server_out = Pipe(), ssl.MemoryBIO(), ssl.MemoryBIO()
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(CERTIFICATE)
    server = serving.wrap_bio(server_in, server_out, server_side=True)
    client = TlsStream(cast("Stream", pipe), ssl.create_default_context(cafile=CERTIFICATE), "localhost")
    done = client.handshake()
    while not done:
        server_in.write(pipe.sent)
        pipe.sent = b""
        with suppress(ssl.SSLWantReadError):
            server.do_handshake()
        pipe.received += server_out.read()
        done = client.handshake()
    server_in.write(pipe.sent)
    server.do_handshake()
    return client, pipe, server, server_out


def test_bytes_behind_a_full_view_are_left_for_the_next_read(tls: Any) -> None:
    client, pipe, server, out = tls
    server.write(BODY)
    pipe.received += out.read()
    view = memoryview(bytearray(len(BODY)))
    assert client.receive_into(view[:1000]) == 1000
    assert client.left_over
    pipe.received = b""
    pipe.then = AssertionError("the socket was read")
    rest = client.receive()
    assert view[:1000] == BODY[:1000]
    assert rest == BODY[1000 : 1000 + len(rest)]
    assert not client.left_over


def test_a_view_is_filled_with_all_that_arrived(tls: Any) -> None:
    client, pipe, server, out = tls
    view = memoryview(bytearray(len(BODY) + 1))
    with pytest.raises(BlockingIOError):
        client.receive_into(view)
    server.write(BODY)
    pipe.received += out.read()
    assert client.receive_into(view) == len(BODY)
    assert view[:-1] == BODY
    assert not client.left_over
    with pytest.raises(BlockingIOError):
        client.receive_into(view)


@pytest.mark.parametrize("then", [ConnectionResetError(), None], ids=["reset", "closed"])
def test_bytes_before_the_end_are_returned_before_it(tls: Any, then: OSError | None) -> None:
    client, pipe, server, out = tls
    server.write(BODY)
    if then is None:
        with pytest.raises(ssl.SSLWantReadError):
            server.unwrap()
    pipe.received += out.read()
    pipe.then = then
    view = memoryview(bytearray(len(BODY) + 1))
    assert client.receive_into(view) == len(BODY)
    if then is not None:
        with pytest.raises(ConnectionResetError):
            client.receive_into(view)
    else:
        assert (client.receive_into(view), client.ended) == (0, True)
