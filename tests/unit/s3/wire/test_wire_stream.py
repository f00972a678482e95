"""TLS over a stream, without sockets: what a renegotiation (TLS 1.2) does to bytes that are being sent."""

import ssl
from typing import Any, cast

import pytest

from mirrord.s3.wire.stream import Stream, TlsStream


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
