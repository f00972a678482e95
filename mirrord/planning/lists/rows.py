"""One row of a list, and the values of its columns. Pure.

Owns which values of a column are valid. A message about a wrong value does not contain it: a URL may hold a secret.
"""

import binascii
from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mirrord.manifest.schema.hints import suggestion
from mirrord.model import DeclaredBytes

COLUMNS = ("url", "key", "size", "md5", "sha256")
"""The columns of a list, in the order of a table without a header."""
_LARGEST_SIZE = 2**63 - 1
_MD5, _SHA256 = 16, 32
"""Bytes of a digest."""


class ListRow(NamedTuple):
    """One source of a list. `url` is as written, and may be relative. With `named` it is the name of a file, relative
    to the list, or of an object, relative to its prefix, in which nothing is encoded. `listed`: size and ETag of that
    object."""

    url: str
    key: str | None = None
    declared: DeclaredBytes | None = None
    named: bool = False
    listed: tuple[int, str] | None = None


class ListRefused(Exception):
    """A list whose rows cannot be read at all. The message continues a sentence about the list."""


def row_of(values: Mapping[str, str]) -> ListRow:
    """The row of these columns. An empty value counts as absent. ValueError: why it is a bad row."""
    url = values.get("url", "").strip()
    if not url:
        raise ValueError("it has no url")
    size, md5, sha256 = (values.get(name, "").strip() for name in COLUMNS[2:])
    return ListRow(url, values.get("key") or None, declared(size, md5, sha256))


def declared(size: str = "", md5: str = "", sha256: str = "") -> DeclaredBytes | None:
    """The expected bytes; None if all texts are empty. ValueError: why a text is wrong."""
    if not (size or md5 or sha256):
        return None
    length = _size(size) if size else None
    return DeclaredBytes(length, _digest("md5", md5, _MD5), _digest("sha256", sha256, _SHA256))


def refuse_similar(names: Sequence[str]) -> None:
    """ValueError for a column whose name is nearly one of COLUMNS. Other columns are ignored."""
    for name in names:
        if name not in COLUMNS and (near := suggestion(name, COLUMNS)):
            raise ValueError(f"it has an unknown column {name[:40]!r}{near}")


def _size(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 19 or int(text) > _LARGEST_SIZE:
        raise ValueError("its size is not a number of bytes")
    return int(text)


def _digest(name: str, text: str, size: int) -> bytes | None:
    """The digest of `size` bytes, from hex digits or base64; None: there is none."""
    if not text:
        return None
    text = text.removeprefix(f"{name}:")
    try:
        raw = bytes.fromhex(text) if len(text) == 2 * size else b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raw = b""
    if len(raw) != size:
        raise ValueError(f"its {name} is neither {2 * size} hex digits nor {size} bytes in base64")
    return raw
