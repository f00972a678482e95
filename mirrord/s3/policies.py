"""How a declared store (`StoreOptions`) is used: its provider, what is signed, TLS, and the proxy in front of it."""

import os
from dataclasses import replace
from ipaddress import ip_address
from urllib.parse import urlsplit

from mirrord.declared import StoreOptions
from mirrord.model import ProviderName
from mirrord.providers import Provider, profile
from mirrord.proxies import EnvironmentProxies, Proxy, chosen_proxy

CONNECT_TIMEOUT = 10.0
"""Seconds."""
AWS = "https://s3.amazonaws.com"


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


def proxy_of(options: StoreOptions) -> Proxy | None:
    """The proxy for the store's endpoint; None: no proxy. ValueError: it cannot be used."""
    if options.provider is ProviderName.EMBEDDED:
        return None
    declared = options.connection.proxy
    if declared is None and is_loopback(options.endpoint_url):
        return None
    return chosen_proxy(declared, EnvironmentProxies.read(os.environ), options.endpoint_url or AWS)


def is_anonymous(options: StoreOptions) -> bool:
    return options.credentials is not None and options.credentials.anonymous
