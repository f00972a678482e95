"""The form of an address for users: without userinfo, query and fragment, also if the address is malformed.

If it is unclear which part of an address is the password, the whole address is replaced by `[cut]`.
"""

import re
from functools import lru_cache

CUT = "[cut]"

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
_PLAIN = re.compile(rf"https?://(?:{_NAME}\.)*{_NAME}{_PORT}(?:/[^@?#\\\s]*)?")
"""A URL in which nothing can be a secret, as most are: a tenth of the time."""
_NAMED = re.compile(rf"(?:{_NAME})?")
"""The same for a bucket, which has no port."""


def shown(address: str) -> str:
    """An address without its secrets. A text that is not a URL and has no `@` after a colon is returned unchanged."""
    return split(address)[0]


@lru_cache(maxsize=1024)  # a check shows the same address several times, 10 us each
def split(address: str) -> tuple[str, bool]:
    """The address without secrets, and whether a query or a fragment was cut from its end."""
    if _PLAIN.fullmatch(address):
        return address, False
    found = _START.match(address)
    scheme = ((found and found["scheme"]) or "").lower()
    start = found.end() if found else 0
    if scheme == "file:":
        return address, False
    if not _is_url(address, scheme, found["slashes"] if found else ""):
        return _inside(address)
    visible, query = _without_secrets(address[start:], bucket=scheme == "s3:")
    return address[:start] + visible, query


def _inside(text: str) -> tuple[str, bool]:
    """As `split`, for a text in which an address with userinfo begins later."""
    found = _LATER.search(text)
    if found is None or "@" not in text[found.end() :]:
        return text, False
    visible, query = _without_secrets(text[found.end() :], bucket=False)
    return text[: found.end()] + visible, query


def _is_url(address: str, scheme: str, slashes: str) -> bool:
    if scheme:
        return bool(slashes) or scheme in _KNOWN or "@" in address
    return len(slashes) > 1 or ("?" in address and "=" in address.partition("?")[2])


def _without_secrets(rest: str, *, bucket: bool) -> tuple[str, bool]:
    """`rest`: the part of a URL after its slashes."""
    authority, end, _ = re.split(r"([/\\?#]|$)", rest, maxsplit=1)
    rest_of_url = rest[len(authority) :]
    _, at, host = authority.rpartition("@")
    if _ambiguous(host, rest_of_url, named=bool(at), end=end, bucket=bucket):
        return CUT, False
    path, end_mark, _ = _partition(rest_of_url)
    return host + path, bool(end_mark)


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
