"""Codings of a body: which codings a message names, and the decoding of transfer codings while bytes arrive.

Owns transfer codings (RFC 9112 7; they end at this client) and the registered content codings (RFC 9110 8.4.1; they are
stored with the object). Refuses an unsupported transfer coding by its name. Decodes in small steps: a body that grows a
thousandfold takes no memory, and the reader decides how much of it is read.
"""

import zlib
from collections.abc import Mapping
from typing import Protocol

from mirrord.aio import CooperativePause
from mirrord.errors import SourceRefused, SourceUnavailable
from mirrord.units import KiB

REGISTERED = frozenset(
    {
        *("aes128gcm", "br", "compress", "dcb", "dcz", "deflate", "exi", "gzip"),
        *("pack200-gzip", "x-compress", "x-gzip", "zstd"),
    }
)
"""IANA, HTTP Content Coding Registry, without identity."""

_GZIP = ("gzip", "x-gzip")
_MAX_INPUT = 16 * KiB
_MAX_OUTPUT = 256 * KiB


def content_encoding(value: str | None) -> str | None:
    """The registered codings of a Content-Encoding, in their order; None if there are none."""
    if not value:
        return None
    named = [coding.strip() for coding in value.split(",")]
    return ", ".join(coding for coding in named if coding.lower() in REGISTERED) or None


def has_unregistered(value: str | None) -> bool:
    """Whether a Content-Encoding names a coding that is not registered."""
    if not value:
        return False
    named = (coding.strip().lower() for coding in value.split(","))
    return any(coding not in REGISTERED and coding not in ("", "identity") for coding in named)


def transfer_codings(headers: Mapping[str, str], where: str) -> list[str]:
    """The transfer codings to decode, in the order of decoding, without `chunked`, which aiohttp's parser decodes.

    Raises SourceRefused for a coding that is not supported.
    """
    value = headers.get("Transfer-Encoding")
    if not value:
        return []
    named = [coding.strip().lower() for coding in value.split(",")]
    codings = [coding for coding in named if coding not in ("", "identity")]
    if codings and codings[-1] == "chunked":
        codings.pop()
    for coding in codings:
        if coding not in (*_GZIP, "deflate"):
            name = coding if coding.isascii() and coding.isprintable() else "of an unreadable name"
            raise SourceRefused(f"{where}: the transfer coding {name[:40]} is not supported")
    return codings[::-1]


class BodyReader(Protocol):
    """A body while it arrives."""

    async def read(self) -> bytes:
        """Some bytes; empty at the proven end."""


class TransferDecoder:
    """A body decoded from one transfer coding: gzip, x-gzip or deflate."""

    def __init__(self, encoded: BodyReader, coding: str, where: str) -> None:
        self._encoded = encoded
        self._coding = coding
        self._where = where
        self._pause = CooperativePause()
        self._pending = memoryview(b"")  # read, not decoded
        self._inflate: zlib._Decompress | None = None
        self._full = False  # the last step returned `_MAX_OUTPUT` bytes: zlib may have more
        self._complete = False  # the bytes so far are a whole gzip or deflate stream

    async def read(self) -> bytes:
        """See `BodyReader`. Raises SourceRefused for bytes of another coding, SourceUnavailable if they end early."""
        while True:
            await self._pause.when_due()
            if not self._pending and not self._full:
                self._pending = memoryview(await self._encoded.read())
                if not self._pending:
                    return self._end()
            if decoded := self._decode():
                return decoded

    def _decode(self) -> bytes:
        if self._inflate is None:
            self._inflate = zlib.decompressobj(self._window(self._pending))
        taken = self._pending[:_MAX_INPUT]
        try:
            decoded = self._inflate.decompress(taken, _MAX_OUTPUT)
        except zlib.error:
            raise SourceRefused(f"{self._where}: its body is not in the transfer coding {self._coding}") from None
        left = len(self._inflate.unconsumed_tail) + len(self._inflate.unused_data)
        self._pending = self._pending[len(taken) - left :]
        self._complete = self._inflate.eof
        self._full = len(decoded) == _MAX_OUTPUT and not self._complete
        if self._complete:
            self._inflate = None  # another gzip member may follow
        return decoded

    def _window(self, first: memoryview) -> int:
        """The argument `wbits` for zlib. Many servers send `deflate` without the zlib header (RFC 9112 7.2)."""
        if self._complete and self._coding not in _GZIP:
            raise SourceRefused(f"{self._where}: bytes follow the end of its transfer coding {self._coding}")
        if self._coding in _GZIP:
            return zlib.MAX_WBITS | 16
        return zlib.MAX_WBITS if first[0] & 0x0F == zlib.DEFLATED else -zlib.MAX_WBITS

    def _end(self) -> bytes:
        if not self._complete:
            raise SourceUnavailable(f"{self._where}: cut short in its transfer coding {self._coding}")
        return b""
