"""Which proxy a URL is requested through: the setting `proxy`, else HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY.

Owns the meaning of these variables, which is that of curl and Go: lower case first, a variable that is set but empty
means no proxy. Each error and each `shown` is without the proxy's password. Pure, but for `UsedProxies`. `tunnels` has
the request to a proxy.
"""

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import SplitResult, unquote, urlsplit

from mirrord.frozen import frozen
from mirrord.model import Secret, shown

NONE = "none"
"""The value of the setting `proxy` for no proxy."""
SUPPORTED = "mirrord supports http:// and https:// proxies"
Address = IPv4Address | IPv6Address

_VARIABLES = {"http": ("http_proxy", "all_proxy"), "https": ("https_proxy", "all_proxy")}
_NUMBER = re.compile("0[xX][0-9a-fA-F]+|[0-9]+")
_DEFAULT_PORTS = {"http": 80, "https": 443}

_NAT64 = (ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48"))
"""RFC 6052, and RFC 8215 with the address in the last 32 bits, as translators use it for the prefix length 96."""
_COMPATIBLE = ip_network("::/96")


@frozen
class HttpPeer:
    """One end of a connection. `host` is without brackets."""

    host: str
    port: int
    secure: bool
    authority: str
    """Host and port as in a URL; without the port if it is the scheme's own."""
    authorization: Secret | None = field(repr=False)
    """The value of (Proxy-)Authorization for the userinfo of the URL."""

    @staticmethod
    def of(url: str) -> "HttpPeer":
        """Raises ValueError, without a text: the port of `user:a/b@host` is `a`, a part of its password."""
        with suppress(ValueError, KeyError):
            parts = urlsplit(url)
            usual = _DEFAULT_PORTS[parts.scheme]
            port = usual if parts.port is None else parts.port
            host = (parts.hostname or "").encode("idna" if not (parts.hostname or "").isascii() else "ascii").decode()
            if host and port:
                name = f"[{host}]" if ":" in host else host
                authority = name if port == usual else f"{name}:{port}"
                return HttpPeer(host, port, parts.scheme == "https", authority, _basic(parts))
        raise ValueError

    @property
    def place(self) -> str:
        """Host and port, always with the port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _basic(parts: SplitResult) -> Secret | None:
    if parts.username is None:
        return None
    text = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return Secret("Basic " + b64encode(text.encode()).decode())


@frozen
class Proxy:
    """An HTTP proxy. `shown` is its URL without userinfo."""

    shown: str
    peer: HttpPeer
    url: Secret = field(repr=False)

    @staticmethod
    def of(url: str) -> "Proxy":
        """Raises ValueError with advice. A URL without a scheme is one with http://."""
        full = url if "://" in url else f"http:{url}" if url.startswith("//") else f"http://{url}"
        scheme, _, rest = full.partition("://")
        if scheme.lower() not in _DEFAULT_PORTS:
            raise ValueError(f"the proxy {shown(full)} cannot be used: {SUPPORTED}")
        if re.search("[/?#].*@", rest):
            raise ValueError(f"the proxy {shown(full)}: write / ? # in its user or password as %2F %3F %23")
        full = f"{scheme.lower()}://{rest}"
        try:
            return Proxy(shown(full).rstrip("/"), HttpPeer.of(full), Secret(full))
        except ValueError:
            raise ValueError(f"the proxy {shown(full)} has no valid address") from None


@frozen
class EnvironmentProxies:
    """The proxies of the environment. `of` is empty if there are none, so that nothing has to be asked."""

    of: Mapping[str, Secret] = field(repr=False)
    """The proxy's URL, by the scheme of the requests."""
    exempt: tuple[str, ...] = ()
    """The parts of NO_PROXY, in lower case."""

    @staticmethod
    def read(environ: Mapping[str, str]) -> "EnvironmentProxies":
        """The proxies that these variables name."""
        found = {scheme: _first(environ, names) for scheme, names in _VARIABLES.items()}
        exempt = _variable(environ, "no_proxy") or ""
        return EnvironmentProxies(
            {scheme: Secret(url) for scheme, url in found.items() if url},
            tuple(exempt.lower().replace(",", " ").split()),
        )

    def proxy(self, url: str) -> Secret | None:
        """The URL of the proxy, with its userinfo and unchecked, for a request to `url`. None: no proxy."""
        if not self.of:
            return None
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
        except ValueError:
            return None
        chosen = self.of.get(parts.scheme.lower())
        return None if chosen is None or is_local(host) or exempts(self.exempt, host, port) else chosen


NO_PROXIES = EnvironmentProxies({})


class UsedProxies:
    """The proxies that requests went through, for the status."""

    def __init__(self) -> None:
        self._problems: dict[str, str] = {}

    def note(self, proxy: Proxy, problem: str = "") -> None:
        """`problem`: why the last connection through it failed; empty: it did not fail."""
        self._problems[proxy.shown] = problem

    def __contains__(self, proxy: Proxy) -> bool:
        return proxy.shown in self._problems

    def problems(self) -> Mapping[str, str]:
        """The problem, or an empty text, by the proxy as it is shown."""
        return dict(self._problems)


def chosen_proxy(declared: Secret | None, environment: EnvironmentProxies, url: str) -> Proxy | None:
    """The proxy for `url`. `declared`: the value of the setting, which wins. ValueError: it cannot be used."""
    found = environment.proxy(url) if declared is None else declared
    if found is None or found.reveal() == NONE:
        return None
    try:
        return Proxy.of(found.reveal())
    except ValueError as error:
        raise ValueError(f"the environment's {str(error)[4:]}" if declared is None else str(error)) from None


def is_local(host: str) -> bool:
    """Whether the host is loopback or link-local by its name, or as an IP literal of any form: never behind a proxy."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = literal_address(name)
    return address is not None and (address.is_loopback or address.is_link_local)


def final_address(text: str) -> Address:
    """The address at which packets to `text` arrive: IPv4 inside IPv6 (mapped, compatible, 6to4, NAT64, Teredo) is
    extracted.

    Raises ValueError if the text is no address.
    """
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv4Address):
        return address
    if any(address in network for network in _NAT64) or (address in _COMPATIBLE and int(address) > 1):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else address)


def literal_address(host: str) -> Address | None:
    """The address that the host is, as `getaddrinfo` reads it: also decimal, octal and hex forms of IPv4. None: a
    name."""
    with suppress(ValueError):
        return final_address(host.strip("[]"))
    with suppress(ValueError):
        return _numeric_address(host.split("."))
    return None


def _numeric_address(parts: Sequence[str]) -> Address:
    """IPv4 by inet_aton(3): one to four numbers, of which the last fills the rest. Raises ValueError."""
    if len(parts) > 4 or not all(_NUMBER.fullmatch(part) for part in parts):
        raise ValueError
    *first, last = (int(part, 16 if part[:2] in ("0x", "0X") else 8 if part[0] == "0" else 10) for part in parts)
    if any(number > 255 for number in first) or last >= 256 ** (4 - len(first)):
        raise ValueError
    return IPv4Address(sum(number << (24 - 8 * place) for place, number in enumerate(first)) + last)


def exempts(exempt: Sequence[str], host: str, port: int) -> bool:
    """Whether NO_PROXY exempts this host. `exempt`: its parts in lower case: `*`, a domain with its subdomains (a
    leading `.` or `*.` changes nothing), an address, or a CIDR block; each but `*` with `:port` or without."""
    name, address = host.rstrip(".").lower(), literal_address(host)
    return any(_exempts_one(part, name, address, port) for part in exempt)


def _exempts_one(part: str, name: str, address: Address | None, port: int) -> bool:
    if part == "*":
        return True
    place, only = _without_port(part)
    if only is not None and only != port:
        return False
    if address is not None:
        with suppress(ValueError):
            network = ip_network(place.strip("[]"), strict=False)
            return address in network or address == final_address(place.strip("[]"))
        return False
    domain = place.removeprefix("*").lstrip(".").rstrip(".")
    return name == domain or name.endswith(f".{domain}")


def _without_port(part: str) -> tuple[str, int | None]:
    """`host:80` and `[::1]:80` have a port, `fd00::/8` has none."""
    place, colon, port = part.rpartition(":")
    if colon and port.isascii() and port.isdigit() and (":" not in place or place.endswith("]")):
        return place, int(port)
    return part, None


def _variable(environ: Mapping[str, str], name: str) -> str | None:
    return environ[name] if name in environ else environ.get(name.upper())


def _first(environ: Mapping[str, str], names: Sequence[str]) -> str | None:
    """The first variable that is set: an empty one means no proxy."""
    found = (_variable(environ, name) for name in names)
    return next((value.strip() for value in found if value is not None), None)
