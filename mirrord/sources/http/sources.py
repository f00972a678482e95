"""Makes the sources of HTTP items: `HttpSources` owns what they share.

Owns the connections, the refusals that were seen, and which headers go to a list of checksums.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from types import TracebackType
from typing import Self

from mirrord.model import Item
from mirrord.sources.http.checksum_list import listed_sha256
from mirrord.sources.http.client import HttpClient
from mirrord.sources.http.refusals import Refusals
from mirrord.sources.http.source import HttpSource, TimeFunctions
from mirrord.sources.http.urls import origin, without_userinfo


class HttpSources:
    """Makes the sources of HTTP items over shared connections, open inside `async with`.

    `connect_timeout` in seconds; `allow`: networks (CIDR) exempt from the address rules, ValueError if malformed;
    `per_host`: connections to one host and port at a time, 0 for any number. `now` and `monotonic` as `TimeFunctions`.
    """

    def __init__(
        self,
        *,
        connect_timeout: float = 10.0,
        allow: Iterable[str] = (),
        per_host: int = 8,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = HttpClient(connect_timeout=connect_timeout, allow=allow, per_host=per_host)
        # A list is read while the response of the item itself is open. In one pool the two could wait for each other.
        self._list_client = HttpClient(connect_timeout=connect_timeout, allow=allow)
        self._time = TimeFunctions(now, monotonic)
        self._refusals = Refusals(monotonic)

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        await self._list_client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._list_client.__aexit__(kind, error, trace)
        await self._client.__aexit__(kind, error, trace)

    def source(self, item: Item) -> HttpSource:
        """The item's source, for one attempt."""
        return HttpSource(item.origin.address, item.options.http, self._client, self._time, self._refusals)

    async def declared(self, item: Item) -> str | None:
        """The declared sha256 (hex) of the item's bytes, read from the list if one is declared; None: none declared.

        The entry's headers and credentials are sent to a list at the entry's own origin only. Raises SourceError's
        children.
        """
        declared = item.options.requires.checksum
        sha256 = item.declared_sha256
        if sha256 is not None or declared is None or declared.url is None:
            return sha256
        own, credentials = without_userinfo(item.origin.address)
        same = origin(own) == origin(declared.url)
        headers = {**credentials, **item.options.http.headers} if same else {}
        options = replace(item.options.http, headers=headers)
        source = HttpSource(declared.url, options, self._list_client, self._time, self._refusals)
        return await listed_sha256(source, declared.url, item)
