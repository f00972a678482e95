"""The region that an S3 answer names, and the endpoint of that region. Pure.

Owns the ways in which stores name the region of a bucket. No host name is taken from an answer: the endpoint of another
region is the declared endpoint with its region label replaced.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

_REGION = re.compile(r"(?!-)[a-z0-9-]{2,63}(?<!-)")
_EXPECTED = re.compile(r"expecting '([^']+)'")
_REFUSED = frozenset({301, 302, 307, 308, 400, 403})


def region_of(response: Mapping[str, Any], signed: str) -> str | None:
    """The region for which a refused call must be signed again; None: the answer names none, or only `signed`."""
    meta, fault = response.get("ResponseMetadata", {}), response.get("Error", {})
    if meta.get("HTTPStatusCode") not in _REFUSED:
        return None
    named = meta.get("HTTPHeaders", {}).get("x-amz-bucket-region") or fault.get("Region") or _expected(fault)
    return named if named and named != signed and _REGION.fullmatch(named) else None


def _expected(fault: Mapping[str, Any]) -> str | None:
    if fault.get("Code") != "AuthorizationHeaderMalformed":
        return None
    found = _EXPECTED.search(str(fault.get("Message")))
    return found[1] if found else None


def endpoint_in(endpoint_url: str | None, region: str, other: str) -> str | None:
    """The endpoint of the region `other`: `https://s3.REGION.example.com` with its label replaced. An endpoint without
    a region in its host serves all regions."""
    parts = urlsplit(endpoint_url or "")
    labels = (parts.hostname or "").split(".")
    if region not in labels[:-2]:  # the last two labels are the domain: never replaced
        return endpoint_url
    labels[labels.index(region)] = other
    port = f":{parts.port}" if parts.port else ""
    return parts._replace(netloc=".".join(labels) + port).geturl()
