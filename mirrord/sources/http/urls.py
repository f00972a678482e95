"""The URLs of a source: origin, userinfo, redirects, and the id of the place that a response came from. Pure."""

import re
from base64 import b64encode
from urllib.parse import parse_qsl, unquote, urldefrag, urlencode, urljoin, urlsplit, urlunsplit

from mirrord.errors import SourceRefused
from mirrord.model import fingerprint, shown

PLAIN = re.compile(r"([A-Za-z]+://[A-Za-z0-9.-]+(?::\d+)?)((?:[/?][A-Za-z0-9!$%&'()*+,/:;=?~._-]*)?)")
"""A URL without userinfo, fragment, IPv6 address, and without characters to encode: as nearly all are. Its scheme and
authority, and the rest."""
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
LEGAL = "!#$%&'()*+,/:;=?@[]~"  # what a URL may hold beside letters, digits and -._ (RFC 3986)
_SIGNATURE = re.compile(
    r"x-(amz|goog|oss|cos|obs)-.*|signature|expires|key-pair-id|policy|awsaccesskeyid|googleaccessid|ossaccesskeyid"
    r"|sig|se|sp|spr|sr|st|sv|sko?id|sktid|skt|ske|sks|skv|jwt|token",
    re.IGNORECASE,
)
"""Query parameters that only sign a URL."""


def origin(url: str) -> tuple[str, str]:
    """Scheme and authority, without the scheme's default port (RFC 9110 4.3.1)."""
    parts = urlsplit(url)
    scheme, authority = parts.scheme.lower(), parts.netloc.rpartition("@")[2].lower()
    return scheme, authority.removesuffix(_DEFAULT_PORTS.get(scheme, ""))


def without_userinfo(url: str) -> tuple[str, dict[str, str]]:
    """The URL without userinfo, and the userinfo as a request header, to be sent to the entry's own origin only.

    Raises SourceRefused if the URL is malformed.
    """
    if PLAIN.fullmatch(url):
        return url, {}
    try:
        parts = urlsplit(url)
    except ValueError:
        raise SourceRefused(f"{shown(url)}: the URL is malformed") from None
    userinfo, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, {}
    user, _, password = userinfo.partition(":")
    token = b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()  # with its colon: RFC 7617 2
    return urlunsplit(parts._replace(netloc=host)), {"Authorization": f"Basic {token}"}


def location_id(url: str) -> str:
    """Identifies the URL that a response came from. Its validators are sent to that URL only.

    Parameters that only sign a URL do not count: the id of a release stays although each redirect to it is signed anew.
    """
    parts = urlsplit(url)
    pairs = parse_qsl(parts.query, True) if parts.query else ()
    lasting = [(name, value) for name, value in pairs if not _SIGNATURE.fullmatch(name)]
    query = urlencode(lasting, errors="surrogateescape") if lasting else ""
    return fingerprint(f"{parts.scheme}://{parts.netloc}{parts.path}?{query}")


def redirect_target(url: str, location: str | None) -> str:
    """The URL to which the redirect with this Location leads.

    Raises SourceRefused if Location is missing or malformed, and for a redirect to another scheme than http and https,
    or from https to http.
    """
    if not location:
        raise SourceRefused(f"{shown(url)}: a redirect without a Location")
    try:
        target = urldefrag(urljoin(url, location)).url
    except ValueError:
        raise SourceRefused(f"{shown(url)}: a redirect with a malformed Location") from None
    scheme = urlsplit(target).scheme.lower()
    if scheme not in ("http", "https"):
        raise SourceRefused(f"{shown(url)}: a redirect leads to another scheme than http or https")
    if scheme == "http" and urlsplit(url).scheme.lower() == "https":
        raise SourceRefused(f"{shown(url)}: a redirect leads from https to http")
    return scheme + target[len(scheme) :]
