"""The network: names of hosts, and which proxy is used for which host. Sends no request to any host.

A host behind a proxy is resolved by the proxy. `stores` looks at the answers of stores.
"""

import asyncio
import socket
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from urllib.parse import urlsplit

from mirrord.frozen import frozen
from mirrord.model import Secret, Url
from mirrord.programs.desired import Desired
from mirrord.programs.doctor.findings import DoctorFinding, failed, ok, skipped
from mirrord.proxies import EnvironmentProxies, Proxy, chosen_proxy, literal_address

MOST_HOSTS = 100
"""Hosts that are resolved, at most."""
ANSWER_WITHIN = 10.0
"""Seconds for one name."""
AT_ONCE = 8
_NAMED = 5


@frozen
class HostRoute:
    """How a host is reached: `proxy` is its proxy without userinfo, empty: none; `problem`: it cannot be used."""

    host: str
    proxy: str = ""
    problem: str = ""


def routes(desired: Desired, store_urls: Mapping[str, Secret | None], environ: Mapping[str, str]) -> list[HostRoute]:
    """The routes to all hosts of sources and stores. `store_urls`: the addresses of stores that have one, with their
    declared proxies."""
    environment = EnvironmentProxies.read(environ)
    wanted = chain(_sources(desired), store_urls.items())
    return sorted({_route(url, declared, environment) for url, declared in wanted}, key=lambda one: one.host)


def _sources(desired: Desired) -> Iterator[tuple[str, Secret | None]]:
    """The URL of each source, and the proxy that its entry declares."""
    for item in desired.expansion.items:
        for origin in item.urls or (item.origin,):
            if isinstance(origin, Url):
                yield origin.text, item.options.http.connection.proxy
    for spec in desired.expansion.lists:
        if spec.by_url:
            yield spec.location, spec.options.http.connection.proxy


def _route(url: str, declared: Secret | None, environment: EnvironmentProxies) -> HostRoute:
    host = urlsplit(url).hostname or ""
    try:
        proxy: Proxy | None = chosen_proxy(declared, environment, url)
    except ValueError as error:
        return HostRoute(host, problem=str(error))
    return HostRoute(host, proxy.shown if proxy else "")


def proxy_findings(found: Sequence[HostRoute]) -> Iterator[DoctorFinding]:
    """One for each proxy, with the hosts behind it."""
    for route in found:
        if route.problem:
            yield failed("proxy", route.host, route.problem, "correct `proxy`, or HTTP_PROXY, HTTPS_PROXY, NO_PROXY")
    proxies = sorted({one.proxy for one in found if one.proxy})
    for proxy in proxies:
        hosts = [one.host for one in found if one.proxy == proxy]
        more = f" and {len(hosts) - _NAMED} more" if len(hosts) > _NAMED else ""
        yield ok("proxy", proxy, f"is used for {', '.join(hosts[:_NAMED])}{more}")
    if not proxies and not any(one.problem for one in found):
        yield ok("proxy", "all hosts", "no proxy is used")


async def names(found: Sequence[HostRoute]) -> Mapping[str, str]:
    """The problem, or an empty text, of each host that is resolved here."""
    hosts = sorted({one.host for one in found if not one.proxy and not one.problem})
    hosts = [host for host in hosts if host and literal_address(host) is None][:MOST_HOSTS]
    limit = asyncio.Semaphore(AT_ONCE)

    async def resolved(host: str) -> str:
        async with limit:
            return await _resolved(host)

    return dict(zip(hosts, await asyncio.gather(*map(resolved, hosts)), strict=True))


async def _resolved(host: str) -> str:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(ANSWER_WITHIN):
            await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except TimeoutError:
        return f"no answer within {ANSWER_WITHIN:.0f} s"
    except (OSError, UnicodeError) as error:
        return (getattr(error, "strerror", None) or str(error)).lower()
    return ""


def name_findings(problems: Mapping[str, str]) -> Iterator[DoctorFinding]:
    """One for each host without an address, and one for all others."""
    for host, problem in problems.items():
        if problem:
            fix = "correct the name, or the resolver of this machine (in a container: its dnsPolicy)"
            yield failed("dns", host, f"has no address: {problem}", fix)
    good = [host for host, problem in problems.items() if not problem]
    if good:
        yield ok("dns", "all other hosts" if len(good) < len(problems) else "all hosts", f"{len(good)} have an address")
    elif not problems:
        yield skipped("dns", "all hosts", "no host is resolved here")
