"""Repairs XML answers of stores that are compressed without a request for it, or that contain forbidden characters.

Owns two repairs. A body in gzip or deflate is decompressed. Some stores write a character that XML 1.0 forbids into an
answer because it is in an object's key (raw, or as a reference like `&#x7;`). It is replaced by a character of a
private plane, so that the rest of the answer (an UploadId) can be parsed; `key_of` restores the key. Pure.
"""

import re
import zlib
from collections.abc import Mapping
from urllib.parse import unquote, unquote_plus

from mirrord.units import KiB

_PLANE = 0x100000
"""U+100000 and above: private use. Character c is replaced by `_PLANE + c`."""
_FORBIDDEN = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]")
_REFERENCE = re.compile(rb"&#(?:x([0-9A-Fa-f]{1,6})|([0-9]{1,7}));")
_KEY = re.compile(rb"<Key>[^<]*\r[^<]*</Key>")
_ENCODED = re.compile(r"[!-~]*")  # a percent-encoded key has only these
_GZIP = b"\x1f\x8b"
_QUOTED = 64 * KiB
_ANY_HEADER = 47  # zlib: 32 + 15, gzip or zlib by its header


def readable(body: bytes, headers: Mapping[str, str], limit: int) -> bytes:
    """The body for an XML parser; unchanged if it cannot be decompressed into at most `limit` bytes. What is no XML is
    cut: the SDK quotes it in an error, with four characters for a byte that cannot be printed."""
    coding = headers.get("content-encoding", "").strip().lower()
    if body.startswith(_GZIP) or coding in ("gzip", "x-gzip", "deflate"):
        body = _decompressed(body, limit)
    body = body.lstrip()  # keeps a connection alive during a long call; a parser accepts none before `<?xml`
    return _repaired(body) if body[:1] == b"<" else body[:_QUOTED]


def key_of(text: str, prefix: str, *, encoded: bool) -> str:
    """The key that `text` in a listing of `prefix` means. `encoded`: the answer has `<EncodingType>url</EncodingType>`.

    Some stores send this field and encode nothing; some do not encode the plus sign. Stores in Go write U+FFFD for
    forbidden characters: such a text is taken as `prefix` itself, and a later call with key and upload id verifies it.
    """
    readings = [unquote_plus(text), unquote(text)] if encoded and _ENCODED.fullmatch(text) else []
    readings += [text, restored(text)]
    if any(reading == _with_replacements(prefix) for reading in readings):
        return prefix
    return next((reading for reading in readings if reading.startswith(prefix)), readings[0])


def restored(text: str) -> str:
    """The text with the characters that `readable` replaced."""
    return "".join(chr(ord(sign) - _PLANE) if ord(sign) >= _PLANE else sign for sign in text)


def fits_in_xml(key: str) -> bool:
    """Whether XML 1.0 can represent the key."""
    return "\r" not in key and _with_replacements(key) == key


def is_intact(key: str) -> bool:
    """Whether the key of an answer is certainly the object's: no character in it was replaced."""
    return key.isascii() or ("\ufffd" not in key and all(ord(sign) < _PLANE for sign in key))


def _with_replacements(key: str) -> str:
    """The key as stores in Go write it into XML."""
    return "".join(sign if _is_allowed(ord(sign)) else "\ufffd" for sign in key)


def _decompressed(body: bytes, limit: int) -> bytes:
    for window in (_ANY_HEADER, -zlib.MAX_WBITS):  # some servers send deflate without its header
        decoder = zlib.decompressobj(window)
        try:
            found = decoder.decompress(body, limit)
        except zlib.error:
            continue
        if decoder.eof:
            return found
    return body


def _repaired(body: bytes) -> bytes:
    body = _KEY.sub(
        lambda found: found[0].replace(b"\r", _replacement(ord("\r"))), body
    )  # a parser turns it into a line feed
    body = _FORBIDDEN.sub(lambda found: _replacement(ord(found[0].decode())), body)
    return _REFERENCE.sub(_reference, body)


def _reference(found: re.Match[bytes]) -> bytes:
    code = int(found[1], 16) if found[1] else int(found[2])
    return found[0] if _is_allowed(code) else _replacement(code)


def _is_allowed(code: int) -> bool:
    """XML 1.0, production 2."""
    return code in (0x9, 0xA, 0xD) or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or code > 0xFFFF


def _replacement(code: int) -> bytes:
    return chr(_PLANE + code).encode()
