"""The lines in the bytes of a list: gunzipped where its first bytes say so, of bounded length.

Owns the limits on a line and on a whole list. Pure; `reader` reads the bytes.
"""

import zlib
from collections.abc import Iterator

from mirrord.units import KiB, MiB, format_size

LONGEST_LINE = 64 * KiB
"""Bytes. A longer line is a bad row; no more of it than this is kept."""
LARGEST = 512 * MiB
"""Bytes of text, and bytes that are received: gzip data may have no text."""
_STEP = 64 * KiB
"""Bytes that are gunzipped at a time: a bomb is stopped at LARGEST."""
_GZIP = b"\x1f\x8b"  # RFC 1952 2.3.1


class ListCut(Exception):
    """The bytes end early, or there are too many. The message continues a sentence about the list."""


def _too_large() -> ListCut:
    return ListCut(f"is over {format_size(LARGEST)}; split it")


class Lines:
    """`feed` the bytes in order, then `end`. Both yield lines without their line breaks; None: the line is too long."""

    def __init__(self) -> None:
        self._rest = b""
        self._skipping = False
        self._received = self._size = 0
        self._begun = b""
        self._gzip: zlib._Decompress | None = None
        self._is_text = False
        self.unended = False
        """After `end`: the last line has no line break."""

    def feed(self, chunk: bytes) -> Iterator[bytes | None]:
        """The lines that end in these bytes. Raises ListCut."""
        self._received += len(chunk)
        if self._received > LARGEST:
            raise _too_large()
        if not self._is_text and self._gzip is None:
            chunk = self._begun + chunk
            if len(chunk) < len(_GZIP):
                self._begun = chunk
                return
            self._begun, self._is_text = b"", not chunk.startswith(_GZIP)
        if self._is_text:
            yield from self._split(chunk)
        else:
            yield from self._unzipped(chunk)

    def end(self) -> Iterator[bytes | None]:
        """The last line, if it has no line break. Raises ListCut."""
        if self._begun:
            yield from self._split(self._begun)
        if self._gzip is not None and not self._gzip.eof:
            raise ListCut("is cut short: its gzip data does not end")
        if self._rest or self._skipping:
            self.unended = True
            yield None if self._skipping else self._rest.removesuffix(b"\r")

    def _unzipped(self, chunk: bytes) -> Iterator[bytes | None]:
        while chunk:
            if self._gzip is None or self._gzip.eof:
                if self._gzip is not None and not chunk.strip(b"\0"):  # padding after the last member
                    return
                self._gzip = zlib.decompressobj(zlib.MAX_WBITS | 16)
            try:
                text = self._gzip.decompress(chunk, _STEP)
            except zlib.error:
                raise ListCut("is not valid gzip data") from None
            yield from self._split(text)
            chunk = self._gzip.unconsumed_tail or self._gzip.unused_data

    def _split(self, text: bytes) -> Iterator[bytes | None]:
        self._size += len(text)
        if self._size > LARGEST:
            raise _too_large()
        *lines, self._rest = (self._rest + text).split(b"\n")
        for line in lines:
            too_long, self._skipping = self._skipping or len(line) > LONGEST_LINE, False
            yield None if too_long else line.removesuffix(b"\r")
        if len(self._rest) > LONGEST_LINE:
            self._rest, self._skipping = b"", True
