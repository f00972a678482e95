"""The cookies that redirects set, for the requests that follow within one chain of redirects. Pure.

Some servers set a cookie and redirect, and answer only to a request that has it. Owns which request gets a cookie: one
to the host that set it, by its Path and Secure (RFC 6265 5). A Domain never widens that. All end with the chain.
"""

from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

_MOST = 50
_LONGEST = 4096
"""Characters of a cookie, as browsers limit it; a longer one is not kept."""
_LONGEST_HEADER = 16 * 1024


class _Cookie(NamedTuple):
    value: str
    path: str
    secure: bool


class RedirectCookies:
    """Empty at the start of each chain of redirects."""

    def __init__(self) -> None:
        self._cookies: dict[tuple[str, str], _Cookie] = {}  # by host and name

    def __bool__(self) -> bool:
        return bool(self._cookies)

    def keep(self, url: str, lines: Iterable[str]) -> None:
        """Keep what the response from `url` set: the values of its Set-Cookie fields. Malformed ones are left out."""
        host, path = _place(url)
        for line in lines:
            pair, *attributes = line[: _LONGEST + 1].split(";")
            name, equals, value = (part.strip() for part in pair.partition("="))
            if not equals or not name or len(line) > _LONGEST or not _is_sendable(pair):
                continue
            found = dict(_attribute(text) for text in attributes)
            if _is_expired(found):
                self._cookies.pop((host, name), None)
            elif len(self._cookies) < _MOST or (host, name) in self._cookies:
                given = found.get("path", "")
                where = given if given.startswith("/") else path.rpartition("/")[0] or "/"
                self._cookies[host, name] = _Cookie(value, where, "secure" in found)

    def header(self, url: str, own: str | None) -> str | None:
        """The value of Cookie for a request to `url`; `own`: the value that the entry sends to it. None: no cookie."""
        host, path = _place(url)
        secure = url.startswith("https:")
        pairs = [own] if own else []
        size = len(own or "")
        for (at, name), cookie in self._cookies.items():
            pair = f"{name}={cookie.value}"
            if at == host and _is_below(path, cookie.path) and (secure or not cookie.secure):
                size += len(pair) + 2
                if size <= _LONGEST_HEADER:
                    pairs.append(pair)
        return "; ".join(pairs) or None


def _place(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return (parts.hostname or "").rstrip("."), parts.path or "/"


def _attribute(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name.strip().lower(), value.strip()


def _is_expired(attributes: dict[str, str]) -> bool:
    """Max-Age 0 or less, or an Expires in 1970, by which servers delete. Other times outlive a chain."""
    age = attributes.get("max-age", "")
    return age == "0" or (age.startswith("-") and age[1:].isdigit()) or "1970" in attributes.get("expires", "")


def _is_sendable(pair: str) -> bool:
    return all(" " <= char <= "~" or char >= "\x80" for char in pair)


def _is_below(path: str, of: str) -> bool:
    """RFC 6265 5.1.4."""
    return path == of or (path.startswith(of) and (of.endswith("/") or path[len(of)] == "/"))
