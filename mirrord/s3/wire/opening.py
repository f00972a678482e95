"""Opens connections to one origin: addresses, TCP, a proxy's tunnel, TLS.

Owns the time limits of these steps and their errors: the SDK's classes for calls of which nothing was sent.
`answers.transport` translates them.
"""

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from aiohappyeyeballs import AddrInfoType, start_connection
from botocore import exceptions as sdk

from mirrord.frozen import frozen
from mirrord.proxies import HttpPeer
from mirrord.s3.http_errors import UrlUnusable
from mirrord.sockets import PlainStream, Stream, TlsStream, aborted_on_error, secured
from mirrord.tunnels import TunnelRefused, open_tunnel

CONNECT_TIMEOUT = 10.0
"""Seconds for the addresses and TCP; as long again for a proxy's tunnel and TLS."""
_ATTEMPT_DELAY = 0.25
"""Seconds until the next address is tried too (RFC 8305 recommends 250 ms)."""


class ConnectFailed(Exception):
    """No connection to this host and port. `answers.transport` reads the three fields."""

    def __init__(self, host: str, port: int, os_error: OSError) -> None:
        super().__init__(f"{host}:{port}: {os_error}")
        self.host, self.port, self.os_error = host, port, os_error


@frozen
class Opener:
    """Opens streams to `origin`, through `proxy` if there is one. `url` and `proxy_url` are for errors."""

    url: str
    origin: HttpPeer
    proxy_url: str = ""
    proxy: HttpPeer | None = None

    async def open(self, context: ssl.SSLContext | None) -> Stream:
        """A connected stream, which the caller closes. `context` is needed for an https:// origin."""
        if self.proxy is None:
            with self._errors_of_origin():
                stream: Stream = await _connected(self.origin)
        else:
            with self._errors_of_proxy(self.proxy):
                stream = await self._through(self.proxy, context)
        if not self.origin.secure:
            return stream
        assert context is not None, "an https:// origin without a TLS context"
        with self._errors_of_origin():
            return await _secured(stream, context, self.origin)

    async def _through(self, proxy: HttpPeer, context: ssl.SSLContext | None) -> Stream:
        stream: Stream = await _connected(proxy)
        if proxy.secure:
            trusted = await asyncio.to_thread(ssl.create_default_context) if context is None else context
            stream = await _secured(stream, trusted, proxy)
        if self.origin.secure:
            with aborted_on_error(stream):
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    await open_tunnel(stream, self.origin, proxy)
        return stream

    @contextmanager
    def _errors_of_origin(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            raise sdk.ConnectTimeoutError(endpoint_url=self.url, error=_expired()) from error
        except ssl.SSLError as error:
            raise sdk.SSLError(endpoint_url=self.url, error=error) from error
        except OSError as error:
            failed = ConnectFailed(self.origin.host, self.origin.port, error)
            raise sdk.EndpointConnectionError(endpoint_url=self.url, error=failed) from error
        except ValueError as error:  # a host name that cannot be looked up
            raise UrlUnusable(error=error) from error

    @contextmanager
    def _errors_of_proxy(self, proxy: HttpPeer) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            raise sdk.ProxyConnectionError(proxy_url=self.proxy_url, error=_expired()) from error
        except ssl.SSLError as error:  # of an https:// proxy
            raise sdk.SSLError(endpoint_url=self.proxy_url, error=error) from error
        except (TunnelRefused, OSError) as error:
            failed = ConnectFailed(proxy.host, proxy.port, error) if isinstance(error, OSError) else error
            raise sdk.ProxyConnectionError(proxy_url=self.proxy_url, error=failed) from error
        except ValueError as error:
            raise UrlUnusable(error=error) from error


def _expired() -> TimeoutError:
    return TimeoutError(f"no connection within {CONNECT_TIMEOUT:.0f} s")


async def _connected(peer: HttpPeer) -> PlainStream:
    """TCP to the first address that accepts (RFC 8305)."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(CONNECT_TIMEOUT):
        found = await loop.getaddrinfo(peer.host, peer.port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        addresses = cast("list[AddrInfoType]", found)
        sock = await start_connection(addresses, happy_eyeballs_delay=_ATTEMPT_DELAY, interleave=1, loop=loop)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return PlainStream(sock)


async def _secured(stream: Stream, context: ssl.SSLContext, peer: HttpPeer) -> TlsStream:
    async with asyncio.timeout(CONNECT_TIMEOUT):
        return await secured(stream, context, peer.host.rstrip("."))
