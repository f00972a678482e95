"""Makes the sources of HTTP items: `HttpSources` owns what they share.

Owns the connections, the refusals that were seen, and which headers go to a list of checksums. Imports aiohttp with the
first source: it takes 0.1 s of CPU, and many runs have no URL.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Self

from mirrord.model import HttpOptions, Item, Secret
from mirrord.ports import UNPACED, SourceLimits
from mirrord.proxies import EnvironmentProxies, UsedProxies
from mirrord.sources.http.md5_etags import MD5ETags
from mirrord.sources.http.refusals import Refusals
from mirrord.sources.http.urls import origin, without_userinfo

if TYPE_CHECKING:
    from mirrord.sources.http.client import HttpClient
    from mirrord.sources.http.source import HttpSource


class HttpSources:
    """Makes the sources of HTTP items over shared connections, open inside `async with`.

    `connect_timeout` in seconds; `per_host`: connections to one host and port at a time, 0 for any number; `allow`:
    networks exempt from the address rules; `proxies`: None: those of the environment; `paced`: who copies an item keeps
    to the bandwidth itself. `now` and `monotonic` as
    `TimeFunctions`.
    """

    def __init__(
        self,
        *,
        connect_timeout: float = 10.0,
        per_host: int = 8,
        allow: Sequence[str] = (),
        proxies: EnvironmentProxies | None = None,
        paced: SourceLimits = UNPACED,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connect_timeout = connect_timeout
        self._per_host = per_host
        self._allow = allow
        self._proxies = EnvironmentProxies.read(os.environ) if proxies is None else proxies
        self._paced = paced
        self.used_proxies = UsedProxies()
        """For the status."""
        self._time = now, monotonic
        self._refusals = Refusals(monotonic)
        self._md5_etags = MD5ETags()
        self._clients: dict[bool, HttpClient] = {}
        self._resources = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clients.clear()
        await self._resources.aclose()

    def source(self, item: Item) -> "HttpSource":
        """The item's source, for one attempt."""
        return self._source(item.origin.address, item.options.http, self._client())

    def list_source(self, url: str, options: HttpOptions) -> "HttpSource":
        """A list of sources at this URL, for one reading of it."""
        return self._source(url, options, self._client(of_lists=True))

    async def declared(self, item: Item) -> str | None:
        """The declared sha256 (hex) of the item's bytes, read from the list if one is declared; None: none declared.

        The entry's headers and credentials are sent to a list only if one of the entry's sources has the same origin.
        Raises SourceError's children.
        """
        declared = item.options.requires.checksum
        sha256 = item.declared_sha256
        if sha256 is not None or declared is None or declared.url is None:
            return sha256
        from mirrord.sources.http.checksum_list import listed_sha256

        http = item.options.http if _is_own(declared.url, item) else item.options.http.elsewhere
        options = replace(http, headers=_headers_to(declared.url, item))
        source = self._source(declared.url, options, self._client(of_lists=True))
        return await listed_sha256(source, declared.url, item)

    def _source(self, url: str, options: HttpOptions, client: "HttpClient") -> "HttpSource":
        from mirrord.sources.http.source import HttpSource, TimeFunctions

        return HttpSource(url, options, client, TimeFunctions(*self._time), self._refusals, self._md5_etags)

    def _client(self, *, of_lists: bool = False) -> "HttpClient":
        """A list is read while the response of the item itself is open. In one pool the two could wait for each
        other."""
        if of_lists not in self._clients:
            from mirrord.sources.http.client import HttpClient

            client = HttpClient(
                connect_timeout=self._connect_timeout,
                allow=self._allow,
                per_host=0 if of_lists else self._per_host,
                proxies=self._proxies,
                paced=self._paced,
                of_lists=of_lists,
                used=self.used_proxies,
            )
            self._clients[of_lists] = client
            self._resources.push_async_exit(client)
        return self._clients[of_lists]


def _is_own(url: str, item: Item) -> bool:
    """Whether one of the item's sources has the origin of `url`."""
    return any(origin(url) == origin(source.address) for source in item.urls or (item.origin,))


def _headers_to(url: str, item: Item) -> Mapping[str, Secret]:
    """The headers of the item's entry, with the userinfo of its source at the same origin as `url`; empty if it has
    none there."""
    for source in item.urls or (item.origin,):
        own, credentials = without_userinfo(source.address)
        if origin(own) == origin(url):
            return {**{name: Secret(text) for name, text in credentials.items()}, **item.options.http.headers}
    return {}
