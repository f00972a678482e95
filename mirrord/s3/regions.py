"""Which region an S3 answer names, and the endpoint of that region. Pure.

Owns the ways in which stores name a bucket's region. Refuses to take a host name from an answer: an endpoint of another
region has the declared endpoint's host, but for the label that is the region.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

_REGION = re.compile(r"(?!-)[a-z0-9-]{2,63}(?<!-)")
_EXPECTED = re.compile(r"expecting '([^']+)'")
_REFUSED = frozenset({301, 302, 307, 308, 400, 403})


def region_of(response: Mapping[str, Any], signed: str) -> str | None:
    """The region for which a refused call is to be signed anew; None if the answer names none but the one `signed`."""
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
    """The endpoint of the region `other`: `https://s3.REGION.example.com` with its label replaced. An endpoint whose
    host names no region serves all of them."""
    parts = urlsplit(endpoint_url or "")
    labels = (parts.hostname or "").split(".")
    if region not in labels[:-2]:  # the domain that the endpoint belongs to stays
        return endpoint_url
    labels[labels.index(region)] = other
    port = f":{parts.port}" if parts.port else ""
    return parts._replace(netloc=".".join(labels) + port).geturl()
