"""The form of an address for users: without userinfo, query, fragment and path parameters, also if it is malformed.

A cut query is shown as `?…`, a fragment as `#…`, the parameters of a path segment (`;token=…`) as `;…`. If it is
unclear which part of an address is the password, the whole address is replaced by `[cut]`.
"""

import re
from functools import lru_cache

CUT = "[cut]"
LEFT = "…"
"""What a cut query, fragment or path parameter leaves after its `?`, `#` or `;`."""

_START = re.compile(r"\s*(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*:|[Hh][Tt]{2}[Pp][Ss]?(?=//))?(?P<slashes>[/\\]*)")
"""Also without the colon, a common typing error: `https//…`."""
_LATER = re.compile(r"[:;][/\\]+|[/\\]{2,}")
"""The slashes of an address inside a text: `<https://…>`, `'https://…'`, `https;//…`."""
_KNOWN = frozenset(
    {"http:", "https:", "s3:", "ftp:", "ftps:", "sftp:", "postgres:", "postgresql:", "redis:", "socks5:"}
)
_NAME = r"[\w${}-]+"
_PORT = r"(?::\d{0,5})?"
_HOST = re.compile(rf"(?:localhost|{_NAME}(?:\.{_NAME})+\.?|\[[0-9A-Fa-f:.]+(?:%[\w.-]+)?\]){_PORT}")
_LITERAL = re.compile(rf"(?:localhost|\d+(?:\.\d+){{3}}|\[.*\]){_PORT}")
_WORD = re.compile(rf"(?:{_NAME})?{_PORT}")
"""A name without a dot: a host of a local network, or a user before a password."""
_PLAIN = re.compile(rf"https?://(?:{_NAME}\.)*{_NAME}{_PORT}(?:/[^@?#;\\\s]*)?")
"""A URL in which nothing can be a secret, as most are: a tenth of the time."""
_PARAMETERS = re.compile(r";[^/\\]+")
"""Of one path segment (RFC 3986 3.3)."""
_BARE = re.compile(rf"{_NAME}(?:\.{_NAME})+{_PORT}/\S*;[\w.-]+=")
"""The beginning of an address without a scheme, with a path parameter."""
_NAMED = re.compile(rf"(?:{_NAME})?")
"""The same for a bucket, which has no port."""


@lru_cache(maxsize=1024)  # a check shows the same address several times, 10 us each
def shown(address: str) -> str:
    """An address without its secrets. A text that is not a URL and has no `@` after a colon is returned unchanged."""
    if _PLAIN.fullmatch(address):
        return address
    found = _START.match(address)
    scheme = ((found and found["scheme"]) or "").lower()
    start = found.end() if found else 0
    if scheme == "file:":
        return address
    if not _is_url(address, scheme, found["slashes"] if found else ""):
        return _inside(address)
    return address[:start] + _without_secrets(address[start:], bucket=scheme == "s3:")


def _inside(text: str) -> str:
    """As `shown`, for a text in which an address with userinfo begins later."""
    found = _LATER.search(text)
    if found is None or "@" not in text[found.end() :]:
        return text
    return text[: found.end()] + _without_secrets(text[found.end() :], bucket=False)


def _is_url(address: str, scheme: str, slashes: str) -> bool:
    if _BARE.match(address):
        return True
    if scheme:
        return bool(slashes) or scheme in _KNOWN or "@" in address
    return len(slashes) > 1 or ("?" in address and "=" in address.partition("?")[2])


def _without_secrets(rest: str, *, bucket: bool) -> str:
    """`rest`: the part of a URL after its slashes."""
    authority, end, _ = re.split(r"([/\\?#]|$)", rest, maxsplit=1)
    rest_of_url = rest[len(authority) :]
    _, at, host = authority.rpartition("@")
    if _ambiguous(host, rest_of_url, named=bool(at), end=end, bucket=bucket):
        return CUT
    path, mark, left = _partition(rest_of_url)
    if ";" in path and not bucket:
        path = _PARAMETERS.sub(f";{LEFT}", path)
    return host + path + (mark + LEFT if left else mark)


def _ambiguous(host: str, rest_of_url: str, *, named: bool, end: str, bucket: bool) -> bool:
    """Whether the part to show may hold a password. `named`: there is userinfo before `host`."""
    later = "@" in rest_of_url
    if _LITERAL.fullmatch(host) or (_HOST.fullmatch(host) and ":" not in host) or (bucket and _NAMED.fullmatch(host)):
        return later and named
    if _HOST.fullmatch(host):  # `user.name:1/…@host`, or a port
        return later and (named or "@" in _partition(rest_of_url)[0])
    if not _WORD.fullmatch(host):
        return True
    return later and (named or end in "?#" or "@" in _partition(rest_of_url)[0])


def _partition(rest_of_url: str) -> tuple[str, str, str]:
    """The path, the `?` or `#` that ends it or an empty text, and the rest."""
    path, mark, rest = re.split(r"([?#]|$)", rest_of_url, maxsplit=1)
    return path, mark, rest
