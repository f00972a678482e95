"""A client of a running daemon's API: returns the same dataclasses that the daemon sends.

Owns the requests, their deadline, the pause that a 429 asks for, and the error texts. Follows no redirect and uses no
proxy: the token is sent only to the given address.
"""

from asyncio import sleep
from collections.abc import Collection, Sequence
from os import strerror
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import aiohttp
from pydantic import TypeAdapter, ValidationError
from yarl import URL

from mirrord.cli.daemon_address import checked_address
from mirrord.errors import DaemonRefused, NoDaemon
from mirrord.frozen import frozen
from mirrord.headers import retry_after
from mirrord.model import State
from mirrord.settings import socket_path
from mirrord.status import ItemHistory, ItemPage, ItemStatus, Restored, Status
from mirrord.web.routes import TriggeredItems

DEADLINE = 10.0
"""Seconds for one response."""
_TRIES = 10
"""Requests until a 429 is an error: the address of this command may have clients that send too many."""
_REFUSED = {
    ("POST", 401): "the token is wrong: set MIRRORD_API_TOKEN to the manifest's daemon.api_token",
    ("GET", 401): "reading needs a token: set MIRRORD_API_TOKEN to the manifest's daemon.read_token or api_token",
}

T = TypeVar("T")


@frozen
class _Response:
    status: int
    body: Any
    wait: float | None = None
    """Retry-After in seconds."""


class ApiClient:
    """The daemon at `url` (or `unix:PATH`), inside `async with`. Raises ValueError for another URL.

    Every call raises NoDaemon if no mirrord answers there, and DaemonRefused with the daemon's message.
    """

    def __init__(self, url: str, token: str = "") -> None:
        self.url = checked_address(url)
        self._token = token
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        path = socket_path(self.url)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.UnixConnector(path) if path else None,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def status(self) -> Status:
        return self._read(Status, await self._request("GET", "/api/v1/status"))

    async def items(
        self, *, state: State | None = None, text: str = "", cursor: str = "", limit: int = 100
    ) -> ItemPage:
        """One page, as `ports.Control.items`."""
        query = {"state": "" if state is None else state.value, "q": text, "cursor": cursor, "limit": str(limit)}
        return self._read(ItemPage, await self._request("GET", "/api/v1/items", query))

    async def item(self, item_id: str) -> ItemStatus | None:
        """None if there is no such item."""
        response = await self._request("GET", f"/api/v1/items/{quote(item_id, safe='')}", missing=True)
        return None if response.status == 404 else self._read(ItemStatus, response)

    async def trigger(self, item_ids: Sequence[str]) -> Collection[str]:
        """Check up to `MOST_TRIGGERED` items now; returns the ids of those that there still are."""
        response = await self._request("POST", "/api/v1/items/sync", body={"items": list(item_ids)})
        return self._read(TriggeredItems, response).items

    async def trigger_entry(self, entry: str) -> bool:
        """Read the list, or scan the folder, of this name now; False if there is none any more."""
        name = quote(entry, safe="").replace(".", "%2E")  # a folder may be named `..`
        response = await self._request("POST", f"/api/v1/entries/{name}/sync", missing=True)
        return response.status != 404

    async def history(self, item_id: str) -> ItemHistory | None:
        """None if there is no such item."""
        response = await self._request("GET", f"/api/v1/items/{quote(item_id, safe='')}/history", missing=True)
        return None if response.status == 404 else self._read(ItemHistory, response)

    async def restore(self, item_id: str, version_id: str) -> Restored:
        """Make the version current. Without a deadline: the copy of a large object takes its time."""
        path = f"/api/v1/items/{quote(item_id, safe='')}/restore"
        return self._read(Restored, await self._request("POST", path, body={"version": version_id}, within=None))

    async def _request(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        *,
        missing: bool = False,
        body: dict[str, Any] | None = None,
        within: float | None = DEADLINE,
    ) -> _Response:
        """The response if it is a success, or with `missing` a 404 of the daemon. `within`: seconds.
        A request that came too early (429) is sent again after the pause that the daemon names."""
        response = await self._response(method, path, query, body, within)
        for _ in range(_TRIES - 1):
            if response.status != 429 or response.wait is None:
                break
            await sleep(response.wait)
            response = await self._response(method, path, query, body, within)
        if response.status < 300 or (missing and response.status == 404):
            return response
        if not isinstance(response.body, dict) or "message" not in response.body:
            raise self._not_mirrord()
        raise DaemonRefused(f"{self.url}: {_REFUSED.get((method, response.status), response.body['message'])}")

    async def _response(
        self, method: str, path: str, query: dict[str, str] | None, body: dict[str, Any] | None, within: float | None
    ) -> _Response:
        assert self._session is not None
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        timeout = aiohttp.ClientTimeout(total=within)
        try:
            base = URL("http://localhost" if socket_path(self.url) else self.url)
            address = base.with_path(base.raw_path.rstrip("/") + path, encoded=True)
            async with self._session.request(
                method, address, params=query, headers=headers, allow_redirects=False, json=body, timeout=timeout
            ) as answer:
                wait = retry_after(answer.headers.get("Retry-After"), None)
                return _Response(answer.status, await answer.json(), wait)
        except (aiohttp.ContentTypeError, ValueError):
            raise self._not_mirrord() from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise NoDaemon(f"no daemon answers at {self.url}: {_why(error)}") from error

    def _read(self, shape: type[T], response: _Response) -> T:
        try:
            return TypeAdapter(shape).validate_python(response.body)
        except ValidationError as error:
            where = ".".join(map(str, error.errors()[0]["loc"]))
            raise NoDaemon(
                f"what answers at {self.url} is no mirrord, or of another version than this command ({where})"
            ) from None

    def _not_mirrord(self) -> NoDaemon:
        return NoDaemon(f"what answers at {self.url} is no mirrord")


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"silent for {DEADLINE:g} s"
    if isinstance(error, aiohttp.ClientConnectorError):
        code = error.os_error.errno
        return strerror(code) if code else str(error.os_error)
    return type(error).__name__
