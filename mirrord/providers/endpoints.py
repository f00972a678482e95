"""The documented address of a provider's S3 API, and the region to sign for. Pure.

Owns how `region` and `account_id` of a store make the address. `facts` owns the patterns.
"""

import re
from typing import NamedTuple
from urllib.parse import urlsplit

from mirrord.providers.facts import FactName, FactSheet

_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
ACCOUNT_VARIABLE = "CLOUDFLARE_ACCOUNT_ID"
"""The variable by which Cloudflare's own tools take an account."""


class DocumentedEndpoint(NamedTuple):
    """An address, and the region to sign for (None: that of the AWS configuration)."""

    url: str
    region: str | None


def documented_endpoint(known: FactSheet, region: str | None, account_id: str | None) -> DocumentedEndpoint | None:
    """The address of a store without `endpoint_url`; None: the provider has no common one.

    ValueError: a part of it is missing, or there is no such region."""
    pattern = known.text(FactName.ENDPOINT)
    if pattern is None:
        return None
    region = region or known.text(FactName.DEFAULT_REGION)
    if "{account_id}" in pattern and not account_id:
        raise ValueError(
            f"account_id is missing: the address is {pattern}; give it, {ACCOUNT_VARIABLE} or endpoint_url"
        )
    if account_id and not _LABEL.fullmatch(account_id):
        raise ValueError("account_id is not an account: it has a-z, 0-9 and - only")
    if "{region}" in pattern:
        _check_region(known, pattern, region)
    return DocumentedEndpoint(pattern.format(region=region, account_id=account_id), region)


def is_documented(known: FactSheet, url: str | None) -> bool:
    """Whether an address is one of the provider's own, so that its storage classes are known. None: the default."""
    pattern = known.text(FactName.ENDPOINT)
    if url is None or pattern is None:
        return True
    domain = ".".join(pattern.rpartition("/")[2].split(".")[-2:])
    return (urlsplit(url).hostname or "").endswith(f".{domain}")


def takes_account(known: FactSheet) -> bool:
    """Whether the address of this provider has an account in it."""
    return "{account_id}" in (known.text(FactName.ENDPOINT) or "")


def _check_region(known: FactSheet, pattern: str, region: str | None) -> None:
    regions = known.texts(FactName.REGIONS)
    choice = f"one of {', '.join(regions)}" if regions else "that of the bucket"
    if region is None:
        raise ValueError(f"region is missing: the address is {pattern}; give {choice}, or endpoint_url")
    if not _LABEL.fullmatch(region) or (regions and region not in regions):
        raise ValueError(f"{known.name} has no region {region}: give {choice}, or endpoint_url for another address")
