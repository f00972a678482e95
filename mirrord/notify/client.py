"""One request to a webhook or a heartbeat URL: with a deadline, under the address rules, without redirects.

Owns the connections and the words for what went wrong. No text contains the URL, because its path may be a secret, too.
"""

import os
import ssl
from collections.abc import Mapping, Sequence
from os import strerror
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from mirrord.headers import retry_after
from mirrord.planning.notifications.delivery import Reply
from mirrord.ports import Clock
from mirrord.proxies import EnvironmentProxies, Proxy, UsedProxies, chosen_proxy
from mirrord.sources.http.addresses import AddressRefused, AddressRules, checked_socket
from mirrord.sources.http.routes import Routes

DEADLINE = 15.0
"""Seconds for the whole request."""


class WebhookClient:
    """Requests inside `async with`. `allow`: networks exempt from the address rules.

    Proxies of the environment are used. Cookies and ~/.netrc are not; TLS is verified.
    """

    def __init__(self, clock: Clock, *, deadline: float = DEADLINE, allow: Sequence[str] = ()) -> None:
        self._rules = AddressRules(allow)
        self._environment = EnvironmentProxies.read(os.environ)
        self.used_proxies = UsedProxies()
        """For the status."""
        self._routes = Routes(self._rules, self._environment, self.used_proxies)
        self._clock = clock
        self._deadline = deadline
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Send the body. Never raises for what the receiver does."""
        return await self._request("POST", url, headers, body)

    async def get(self, url: str, headers: Mapping[str, str]) -> Reply:
        """Request the URL. Never raises for what the receiver does."""
        return await self._request("GET", url, headers, None)

    async def _request(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Reply:
        session = self._opened()
        try:
            proxy = chosen_proxy(None, self._environment, url)
        except ValueError as error:  # its text is without secrets
            return Reply(None, str(error))
        try:
            if proxy and (reason := await self._routes.refusal((URL(url).host or "").rstrip("."))):
                return Reply(None, reason)
            through = URL(proxy.url.reveal()) if proxy else None
            if proxy:
                self.used_proxies.note(proxy)
            async with session.request(
                method, URL(url), headers=headers, data=body, allow_redirects=False, proxy=through
            ) as response:
                wait = retry_after(response.headers.get("Retry-After"), self._clock.now())
                return Reply(response.status, retry_after=wait)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            if proxy is None or (fault := _fault_of_proxy(error, proxy)) is None:
                return Reply(None, _problem(error, self._deadline))
            self.used_proxies.note(proxy, fault)
            return Reply(None, f"the proxy {proxy.shown} {fault}")

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=0,
                limit_per_host=0,
                resolver=aiohttp.ThreadedResolver(),
                socket_factory=lambda info: checked_socket(self._rules, info, behind_public=False),
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=self._deadline),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        return self._session


def _fault_of_proxy(error: Exception, proxy: Proxy) -> str | None:
    """What the proxy did wrong, as the end of a sentence; None: nothing."""
    match error:
        case aiohttp.ClientHttpProxyError():
            return f"answered {error.status}"
        case aiohttp.ClientProxyConnectionError():
            return "does not answer"
        case aiohttp.ClientConnectorCertificateError() if error.host == proxy.peer.host:
            return "has no valid TLS certificate"
        case aiohttp.ClientConnectorError() if error.host == proxy.peer.host:
            return "does not answer with TLS"
    return None


def _problem(error: Exception, deadline: float) -> str:
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    match cause:
        case AddressRefused():
            return str(cause)
        case ssl.CertificateError():
            return f"its TLS certificate is not valid: {cause.verify_message}"
        case ssl.SSLError():
            return f"TLS failed: {cause.reason or 'no reason is known'}"
        case TimeoutError():
            return f"no answer within {deadline:g} s"
    match error:
        case aiohttp.ClientConnectorDNSError():
            return "the host name does not resolve"
        case aiohttp.ClientConnectorError():
            return (
                f"cannot connect: {strerror(cause.errno) if isinstance(cause, OSError) and cause.errno else 'no route'}"
            )
        case ValueError():
            return "the URL or a header is malformed"
    return f"the connection broke ({type(error).__name__})"
