"""The tunnel to a host through an HTTP proxy (CONNECT). For the clients of stores and sources.

Owns the request and the answer to it. Callers connect to the proxy, limit the time, and name the proxy in their errors.
"""

import errno
import os
import re
from contextlib import suppress

from mirrord.proxies import HttpPeer
from mirrord.sockets import Stream, readable
from mirrord.units import KiB

_LARGEST_ANSWER = 64 * KiB
"""Bytes of the answer's head, with those of the interim (1xx) answers before it."""
_STATUS = re.compile(rb"HTTP/1\.[01] +(\d{3})\b")
_END = re.compile(rb"\r?\n\r?\n")


class TunnelRefused(Exception):
    """The proxy opened no tunnel. `status`: its answer to CONNECT; None: it sent no valid one."""

    def __init__(self, status: int | None = None, reason: str = "") -> None:
        super().__init__(reason or f"HTTP {status}")
        self.status = status


async def open_tunnel(stream: Stream, origin: HttpPeer, proxy: HttpPeer) -> None:
    """RFC 9110 9.3.6, over a connection to the proxy. Raises TunnelRefused and OSError; `stream` stays open.

    Bytes after the answer's head would belong to the origin, which sends none before TLS begins.
    """
    sign_in = f"Proxy-Authorization: {proxy.authorization.reveal()}\r\n" if proxy.authorization else ""
    stream.send(f"CONNECT {origin.place} HTTP/1.1\r\nHost: {origin.place}\r\n{sign_in}\r\n".encode())
    received = b""
    while True:
        await readable(stream)
        with suppress(BlockingIOError):
            data = stream.receive()
            received += data
            if (status := _answer(received)) is not None:
                break
            if not data:
                raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
    if not 200 <= status < 300:
        raise TunnelRefused(status)


def _answer(received: bytes) -> int | None:
    """The status of the final answer; None: it is not complete. Raises TunnelRefused."""
    rest = received
    while found := _END.search(rest):
        status = _STATUS.match(rest)
        if status is None:
            raise TunnelRefused(reason="its answer is not HTTP")
        rest = rest[found.end() :]
        if not status[1].startswith(b"1"):
            if rest and status[1].startswith(b"2"):
                raise TunnelRefused(reason="the proxy sent bytes before TLS began")
            return int(status[1])
    if not b"HTTP/1."[: len(rest)] == rest[:7]:
        raise TunnelRefused(reason="its answer is not HTTP")
    if len(received) > _LARGEST_ANSWER:
        raise TunnelRefused(reason=f"its answer has no end within {_LARGEST_ANSWER // KiB} KiB")
    return None
