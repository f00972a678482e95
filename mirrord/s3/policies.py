"""How a declared store (`StoreOptions`) is used: its provider, what is signed, TLS, and the proxy in front of it."""

import re
from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_address
from socket import gaierror
from urllib.parse import urlsplit

from mirrord.declared import StoreOptions
from mirrord.model import shown
from mirrord.providers import Provider, profile

CONNECT_TIMEOUT = 10.0
"""Seconds."""
AWS = "https://s3.amazonaws.com"
_SCHEME_BEHIND = re.compile(r"https?://[A-Za-z][A-Za-z0-9+.-]*://")


def provider_of(options: StoreOptions) -> Provider:
    """The profile of the provider. A checksum kind in the manifest replaces that of the profile."""
    known = profile(options.provider)
    return known if options.checksum is None else replace(known, checksum=options.checksum)


def signs_payload(options: StoreOptions) -> bool:
    """Whether bodies have a signed sha256. With `auto` only without TLS, and not on loopback."""
    chosen = options.requests.payload_signing
    if chosen != "auto":
        return chosen == "always"
    return not uses_tls(options.endpoint_url) and not is_loopback(options.endpoint_url)


def uses_tls(endpoint_url: str | None) -> bool:
    return urlsplit(endpoint_url or AWS).scheme == "https"


def is_loopback(endpoint_url: str | None) -> bool:
    host = (urlsplit(endpoint_url or AWS).hostname or "").rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def proxies_of(endpoint_url: str | None) -> dict[str, str]:
    """The proxies of the environment by scheme (HTTP_PROXY, HTTPS_PROXY, NO_PROXY). Empty for loopback."""
    if is_loopback(endpoint_url):
        return {}
    from urllib.request import getproxies, proxy_bypass  # 8 ms, which loopback does not need

    url = endpoint_url or AWS
    with suppress(TypeError, gaierror):
        if proxy_bypass(urlsplit(url).netloc):
            return {}
    return getproxies()


def proxy_of(endpoint_url: str | None) -> str | None:
    """The URL, without userinfo, of the proxy for an endpoint; None: no proxy. Errors name it.

    ValueError: it is not an HTTP proxy, or it is unclear where its password ends."""
    url = proxy_with_userinfo(endpoint_url)
    if not url:
        return None
    if _SCHEME_BEHIND.match(url):  # the SDK puts http:// before a scheme that it does not support
        raise ValueError(f"the environment's proxy {shown(url.partition('://')[2])} is not http:// or https://")
    if re.search("[/?#].*@", url.partition("://")[2]):
        raise ValueError(f"the environment's proxy {shown(url)}: write / ? # in its user or password as %2F %3F %23")
    return shown(url)


def proxy_with_userinfo(endpoint_url: str | None) -> str | None:
    """As `proxy_of`, but with userinfo and unchecked. As the SDK, it takes a proxy without a scheme for http://."""
    proxy = proxies_of(endpoint_url).get(urlsplit(endpoint_url or AWS).scheme)
    if not proxy or proxy.startswith(("http:", "https:")):
        return proxy or None
    return f"http:{proxy}" if proxy.startswith("//") else f"http://{proxy}"


def is_anonymous(options: StoreOptions) -> bool:
    return options.credentials is not None and options.credentials.anonymous
