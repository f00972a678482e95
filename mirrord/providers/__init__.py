"""Profiles of providers: what differs between S3-compatible stores, as data. One sheet for each provider, no code.

Owns the list of all of them. No other package compares the names of providers.
"""

from functools import cache

from mirrord.model import ProviderName
from mirrord.providers.clouds import AWS, B2, DIGITALOCEAN, GCS, R2, SCALEWAY, STORJ, WASABI
from mirrord.providers.clouds_of_russia import CLOUDRU, SELECTEL, VK, YANDEX
from mirrord.providers.facts import FactSheet, sheet
from mirrord.providers.provider import Provider, provider_from
from mirrord.providers.servers import CEPH, EMBEDDED, MINIO, SEAWEEDFS

__all__ = ["Provider", "facts_of", "profile"]

_GENERIC = sheet(ProviderName.GENERIC, "any other store")
_SHEETS = {
    one.name: one
    for one in (
        *(AWS, MINIO, SEAWEEDFS, CEPH, R2, B2, GCS, WASABI, DIGITALOCEAN, YANDEX, SELECTEL, VK, CLOUDRU, STORJ),
        *(SCALEWAY, _GENERIC, EMBEDDED),
    )
}


def facts_of(name: ProviderName) -> FactSheet:
    """All that is known about a provider, with the sources."""
    return _SHEETS[name]


@cache
def profile(name: ProviderName) -> Provider:
    """The profile of a provider."""
    return provider_from(_SHEETS[name])
