"""Responses that arrived whole in one piece, read without aiohttp's parser: most small bodies, and most 304.

Owns which responses these are: a 200 whose Content-Length frames all bytes that follow its head, or a 304 without any,
on a connection that stays open. Its head must be valid without any correction. All others, also each doubtful one, are
left to `heads` and to aiohttp's strict parser, which would take 50 us more for each. Pure.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from multidict import CIMultiDict

from mirrord.units import KiB

_HEAD = re.compile(
    rb"HTTP/1\.1 (200|304)(?: [\t -~\x80-\xff]*)?\r\n((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*\r\n)+)\r\n"
)
"""Status line and fields by RFC 9112 4 and 5, without folded lines."""
_LARGEST_HEAD = 8 * KiB
_MOST_DIGITS = 15


class ArrivedHead(NamedTuple):
    """The part of aiohttp's RawResponseMessage that is used."""

    code: int
    headers: CIMultiDict[str]


class ArrivedBody:
    """A whole body, with the part of aiohttp's StreamReader that is used."""

    __slots__ = ("_bytes", "total_bytes")

    def __init__(self, body: bytes) -> None:
        self._bytes = body
        self.total_bytes = len(body)

    def is_eof(self) -> bool:
        return True

    def exception(self) -> None:
        return None

    def on_eof(self, callback: Callable[[], None]) -> None:
        callback()

    def read_nowait(self, most: int = -1) -> bytes:
        if most < 0 or most >= len(self._bytes):
            taken, self._bytes = self._bytes, b""
        else:
            taken, self._bytes = self._bytes[:most], self._bytes[most:]
        return taken

    async def read(self, most: int = -1) -> bytes:
        return self.read_nowait(most)

    async def wait_eof(self) -> None:
        return None


def arrived_response(received: bytes) -> tuple[ArrivedHead, ArrivedBody] | None:
    """The response that `received` consists of; None: the parser has to read it."""
    found = _HEAD.match(received, 0, _LARGEST_HEAD)
    if found is None:
        return None
    lines = found[2].decode("utf-8", "surrogateescape").split("\r\n")[:-1]
    headers = CIMultiDict[str]()
    for line in lines:
        name, _, value = line.partition(":")
        headers.add(name, value.strip(" \t"))
    code, start = int(found[1]), found.end()
    if _length(headers, code) != len(received) - start or not _is_simple(headers):
        return None
    return ArrivedHead(code, headers), ArrivedBody(received[start:])


def _length(headers: CIMultiDict[str], code: int) -> int:
    """The bytes of the body; -1 if they are not known by one valid Content-Length."""
    lengths = headers.getall("Content-Length", [])
    if len(lengths) > 1 or not all(one.isascii() and one.isdigit() and len(one) <= _MOST_DIGITS for one in lengths):
        return -1
    if code == 304:
        return 0
    return int(lengths[0]) if lengths else -1


def _is_simple(headers: CIMultiDict[str]) -> bool:
    """Whether the connection stays open, and nothing has to be corrected or decoded."""
    if "Transfer-Encoding" in headers or "Upgrade" in headers or len(headers.getall("Content-Encoding", [])) > 1:
        return False
    return headers.get("Connection", "keep-alive").lower() == "keep-alive"
