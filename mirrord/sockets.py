"""The bytes of one connection: a non-blocking socket, plain or under TLS. For the clients of stores and of sources.

Every `send` copies or encrypts what it takes before it returns, so that no view of the caller's memory is kept. That is
why this is a socket and no asyncio transport: a transport may keep the unsent rest, and costs a copy of each slice.
Callers connect the socket and wait for it: `s3.wire.opening`, `s3.wire.connection`, `sources.http.tls`.
"""

import asyncio
import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol, cast

from mirrord.units import KiB

SLICE = 256 * KiB
"""Bytes of a body in one `send`: other tasks of the loop run between two."""
_RECEIVE = 64 * KiB
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing drops the unsent bytes, and the peer sees a reset


class Stream(Protocol):
    """Each method returns at once; BlockingIOError: the socket is not ready. Other OSErrors: the connection failed."""

    @property
    def ended(self) -> bool:
        """`receive` would return no more bytes, although the socket may not become readable."""

    def fileno(self) -> int: ...
    def receive(self) -> bytes:
        """All bytes that arrived, at most 64 KiB; empty at the end of the stream."""

    def send(self, data: memoryview | bytes, /) -> int:
        """How many bytes were taken, at most all of them."""

    def flush(self) -> bool:
        """Send what `send` took and the socket did not; True if nothing is left."""

    def close(self) -> None: ...
    def abort(self) -> None:
        """Close; unsent bytes are dropped, also those in the socket's buffer."""


class PlainStream:
    """Owns the connected non-blocking socket."""

    ended = False

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self.send = sock.send

    def fileno(self) -> int:
        return self._socket.fileno()

    def receive(self) -> bytes:
        return self._socket.recv(_RECEIVE)

    def flush(self) -> bool:
        return True

    def close(self) -> None:
        self._socket.close()

    def abort(self) -> None:
        with suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._socket.close()


class TlsStream:
    """TLS over another stream, so that an https:// store can be reached through an https:// proxy too.

    `handshake` must end before bytes are sent or received. `hostname` is verified and sent as SNI.
    """

    def __init__(self, inner: Stream, context: ssl.SSLContext, hostname: str) -> None:
        self._inner = inner
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=hostname)
        self._unsent = memoryview(b"")  # encrypted
        self.ended = False
        self.left_over = False
        """`receive_into` filled its view: more bytes may have arrived, although the socket may not become readable."""

    @property
    def ssl_object(self) -> ssl.SSLObject:
        return self._tls

    def fileno(self) -> int:
        return self._inner.fileno()

    def handshake(self) -> bool:
        """Make progress; True if the handshake is complete. Call it again when the socket is readable."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self.flush()
                try:
                    self._take_in()
                except BlockingIOError:
                    return False
            except ssl.SSLError:
                with suppress(OSError):
                    self.flush()  # the alert with the reason
                raise
            else:
                self.flush()
                return True

    def receive(self) -> bytes:
        if self.ended:
            return b""
        if self.left_over:
            self.left_over = False
        else:
            self._take_in()
        found = []
        while piece := self._read():
            found.append(piece)
        if self._outgoing.pending:
            self.flush()  # the answer to an update of the keys
        if not found and not self.ended:
            raise BlockingIOError
        return b"".join(found)

    def receive_into(self, view: memoryview) -> int:
        """Decrypt all bytes that arrived into `view` from its start, until it is full; their number, 0 at the end.

        May run in a thread, which a large view is worth (a MiB takes about a millisecond), while nothing else uses the
        stream. BlockingIOError: no byte arrived.
        """
        filled = 0
        try:
            while filled < len(view) and not self.ended:
                if count := self._read_into(view[filled:]):
                    filled += count
                elif not self.ended:
                    self._take_in()
        except OSError:  # also BlockingIOError
            if not filled:
                raise  # else the next call raises it
        self.left_over = filled == len(view)
        if self._outgoing.pending:
            self.flush()
        return filled

    def _read(self) -> bytes:
        """The next decrypted bytes; empty if there are none now, or never again."""
        try:
            piece = self._tls.read(_RECEIVE)
        except ssl.SSLWantReadError:
            return b""
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            piece = b""
        self.ended = not piece
        return piece

    def _read_into(self, view: memoryview) -> int:
        """As `_read`, into `view`: one TLS record at most."""
        try:
            count = cast("Any", self._tls).read(len(view), view)  # typeshed: bytes, and only from a bytearray
        except ssl.SSLWantReadError:
            return 0
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            count = 0
        self.ended = not count
        return int(count)

    def send(self, data: memoryview | bytes, /) -> int:
        if not self.flush():
            raise BlockingIOError
        try:
            taken = self._tls.write(data)
        except ssl.SSLWantReadError as error:  # TLS 1.2: the store began another handshake, e.g. for a certificate
            self.flush()
            raise BlockingIOError from error
        self.flush()
        return taken

    def flush(self) -> bool:
        if self._outgoing.pending:
            rest = self._outgoing.read()
            self._unsent = memoryview(bytes(self._unsent) + rest if self._unsent else rest)
        with suppress(BlockingIOError):
            while self._unsent:
                self._unsent = self._unsent[self._inner.send(self._unsent) :]
        return not self._unsent and self._inner.flush()

    def close(self) -> None:
        with suppress(OSError):
            self._tls.unwrap()  # writes close_notify; the peer's is not awaited
        with suppress(OSError):
            self.flush()
        self._inner.close()

    def abort(self) -> None:
        self._unsent = memoryview(b"")
        self._inner.abort()

    def _take_in(self) -> None:
        if data := self._inner.receive():
            self._incoming.write(data)
        else:
            self._incoming.write_eof()


async def readable(stream: Stream) -> None:
    """Wait until the socket has bytes, or its end."""
    loop, number = asyncio.get_running_loop(), stream.fileno()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(number, wake, ready)
    try:
        await ready
    finally:
        loop.remove_reader(number)


def wake(ready: asyncio.Future[None]) -> None:
    """Set the result, unless the future is done or cancelled."""
    if not ready.done():
        ready.set_result(None)


async def secured(stream: Stream, context: ssl.SSLContext, hostname: str) -> TlsStream:
    """TLS over a connected stream, after its handshake. Raises OSError. After an error or a cancellation `stream` is
    closed."""
    with aborted_on_error(stream):
        tls = TlsStream(stream, context, hostname)
        while not tls.handshake():
            await readable(stream)
    return tls


@contextmanager
def aborted_on_error(stream: Stream) -> Iterator[None]:
    try:
        yield
    except BaseException:
        stream.abort()
        raise
