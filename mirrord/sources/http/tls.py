"""TLS connections to HTTP sources, as asyncio transports for aiohttp, whose large bodies are decrypted in a thread.

Owns the socket from its connection to its close. The loop's own TLS decrypts everything on the loop, from 64 KiB at a
time, and takes 1.8 times the CPU for a GiB. `protocol` owns HTTP, `receiver` the bodies.
"""

import asyncio
import errno
import os
import socket
import ssl
from typing import Any

from mirrord.aio import finish
from mirrord.sockets import PlainStream, Stream, TlsStream, secured, wake
from mirrord.units import KiB

_INLINE = 256 * KiB
"""If so many bytes have arrived, the rest is decrypted in a thread: to get there takes 80 us, to decrypt these 250."""


async def tls_connection(
    sock: socket.socket, context: ssl.SSLContext, hostname: str, protocol: asyncio.Protocol
) -> "TlsTransport":
    """TLS over the connected non-blocking socket, which the transport owns from now on; `protocol` gets its bytes.

    Raises OSError. The caller limits the time.
    """
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return await secured_transport(PlainStream(sock), sock, context, hostname, protocol)


async def secured_transport(
    stream: Stream, sock: socket.socket, context: ssl.SSLContext, hostname: str, protocol: asyncio.Protocol
) -> "TlsTransport":
    """As `tls_connection`, over a stream that is connected to the host: `sock`, or a tunnel over it."""
    try:
        inner = await secured(stream, context, hostname)
    except ssl.SSLEOFError as error:  # its errno is a number of OpenSSL
        raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)) from error
    return TlsTransport(inner, sock, context, protocol)


class TlsTransport(asyncio.Transport):
    """A connection after its handshake. Small requests only: there is no flow control for `write`."""

    def __init__(
        self, stream: TlsStream, sock: socket.socket, context: ssl.SSLContext, protocol: asyncio.Protocol
    ) -> None:
        super().__init__(
            {
                "socket": sock,
                "sockname": sock.getsockname(),
                "peername": sock.getpeername(),
                "sslcontext": context,
                "ssl_object": stream.ssl_object,
            }
        )
        self._stream = stream
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._unsent = b""
        self._closing = False
        self._in_thread = False  # a thread uses the stream
        self._waiter: asyncio.Future[None] | None = None  # of `receive_into`
        protocol.connection_made(self)
        self.resume_reading()

    # ── asyncio.Transport ─────────────────────────────────────────────────────────────────────────
    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def is_closing(self) -> bool:
        return self._closing

    def get_write_buffer_size(self) -> int:
        return len(self._unsent)

    def write(self, data: Any) -> None:
        if not self._closing:
            self._unsent += bytes(data)
            self._write_unsent()

    def pause_reading(self) -> None:
        if not self._closing:
            self._loop.remove_reader(self._stream.fileno())

    def resume_reading(self) -> None:
        if not self._closing:
            self._loop.add_reader(self._stream.fileno(), self._on_readable)
            if self._stream.left_over:
                self._loop.call_soon(self._on_readable)

    def close(self) -> None:
        self._end(None)

    def abort(self) -> None:
        self._end(None)

    # ── large bodies ──────────────────────────────────────────────────────────────────────────────
    async def receive_into(self, view: memoryview, most: float) -> int:
        """Fill `view` from its start, while reading is paused; the number of bytes: all that fit, or that arrived
        within `most` seconds or before the connection ended. Then the transport is closed.

        After a cancellation nothing is written to `view`.
        """
        filled, until, much = 0, self._loop.time() + most, False
        while filled < len(view) and not self._closing:
            rest = view[filled:]
            try:
                count = await self._decrypt(rest) if much else self._stream.receive_into(rest[:_INLINE])
            except BlockingIOError:
                much = False
                if not await self._readable(until):
                    break
                continue
            except OSError as error:
                self._end(error)
                break
            filled += count
            much = count == _INLINE < len(rest)
            if not count:
                self._end(None)
        return filled

    async def _decrypt(self, view: memoryview) -> int:
        self._in_thread = True
        try:
            return await finish(self._loop.run_in_executor(None, self._stream.receive_into, view))
        finally:
            self._in_thread = False
            if self._closing:
                self._stream.close()

    async def _readable(self, until: float) -> bool:
        """Whether the socket became readable, or the transport was closed, before the loop's time `until`."""
        self._waiter = self._loop.create_future()
        timer = self._loop.call_at(until, wake, self._waiter)
        self._loop.add_reader(self._stream.fileno(), wake, self._waiter)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None
            self.pause_reading()
        return self._loop.time() < until

    # ── events ────────────────────────────────────────────────────────────────────────────────────
    def _on_readable(self) -> None:
        if self._closing:
            return
        try:
            data = self._stream.receive()
        except BlockingIOError:
            return
        except OSError as error:
            self._end(error)
            return
        if data:
            self._protocol.data_received(data)
        if self._stream.ended and not self._closing:
            self._protocol.eof_received()
            self._end(None)

    def _write_unsent(self) -> None:
        try:
            while self._unsent:
                self._unsent = self._unsent[self._stream.send(self._unsent) :]
            sent = self._stream.flush()
        except BlockingIOError:
            sent = False
        except OSError as error:
            self._end(error)
            return
        if sent:
            self._loop.remove_writer(self._stream.fileno())
        else:
            self._loop.add_writer(self._stream.fileno(), self._write_unsent)

    def _end(self, error: Exception | None) -> None:
        if self._closing:
            return
        self._loop.remove_reader(self._stream.fileno())
        self._loop.remove_writer(self._stream.fileno())
        self._closing = True
        if self._waiter is not None:
            wake(self._waiter)
        if not self._in_thread:
            self._stream.close()
        self._loop.call_soon(self._protocol.connection_lost, error)
