"""S3's XML answers made readable: compressed without being asked, or with names that XML cannot carry.

Owns two repairs. A body in gzip or deflate is decoded. A character that XML 1.0 forbids, which some stores write into
an answer because it is in an object's key (raw, or as a reference like `&#x7;`), is replaced by one of a private plane,
so that the rest of the answer (an UploadId) can be read; `key_of` brings the key back. Pure.
"""

import re
import zlib
from collections.abc import Mapping
from urllib.parse import unquote, unquote_plus

_PLANE = 0x100000
"""U+100000 and above: private use. Character c is carried as `_PLANE + c`."""
_FORBIDDEN = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]")
_REFERENCE = re.compile(rb"&#(?:x([0-9A-Fa-f]{1,6})|([0-9]{1,7}));")
_KEY = re.compile(rb"<Key>[^<]*\r[^<]*</Key>")
_ENCODED = re.compile(r"[!-~]*")  # what percent-encoding leaves
_GZIP = b"\x1f\x8b"
_ANY_HEADER = 47  # zlib: 32 + 15, gzip or zlib, whichever it is


def readable(body: bytes, headers: Mapping[str, str], limit: int) -> bytes:
    """The body as an XML parser takes it; as it came where it cannot be decoded within `limit` bytes."""
    coding = headers.get("content-encoding", "").strip().lower()
    if body.startswith(_GZIP) or coding in ("gzip", "x-gzip", "deflate"):
        body = _decoded(body, limit)
    return _repaired(body) if body.lstrip()[:1] == b"<" else body


def key_of(text: str, prefix: str, *, encoded: bool) -> str:
    """A key of a listing below `prefix`. `encoded`: the answer says `<EncodingType>url</EncodingType>`.

    Some stores say so and encode nothing; some leave the plus sign. Go's write U+FFFD for what XML forbids: then it is
    taken for `prefix` itself, and a call that names key and upload says whether it was.
    """
    readings = [unquote_plus(text), unquote(text)] if encoded and _ENCODED.fullmatch(text) else []
    readings += [text, restored(text)]
    if any(reading == _mangled(prefix) for reading in readings):
        return prefix
    return next((reading for reading in readings if reading.startswith(prefix)), readings[0])


def restored(text: str) -> str:
    """The text with the characters that `readable` replaced."""
    return "".join(chr(ord(sign) - _PLANE) if ord(sign) >= _PLANE else sign for sign in text)


def fits_in_xml(key: str) -> bool:
    """Whether XML 1.0 can carry the key."""
    return "\r" not in key and _mangled(key) == key


def _mangled(key: str) -> str:
    return "".join(sign if _is_lawful(ord(sign)) else "\ufffd" for sign in key)


def _decoded(body: bytes, limit: int) -> bytes:
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
    body = _KEY.sub(lambda found: found[0].replace(b"\r", _carried(ord("\r"))), body)  # a parser makes it a line feed
    body = _FORBIDDEN.sub(lambda found: _carried(ord(found[0].decode())), body)
    return _REFERENCE.sub(_reference, body)


def _reference(found: re.Match[bytes]) -> bytes:
    code = int(found[1], 16) if found[1] else int(found[2])
    return found[0] if _is_lawful(code) else _carried(code)


def _is_lawful(code: int) -> bool:
    """XML 1.0, production 2."""
    return code in (0x9, 0xA, 0xD) or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or code > 0xFFFF


def _carried(code: int) -> bytes:
    return chr(_PLANE + code).encode()
