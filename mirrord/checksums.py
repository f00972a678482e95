"""Checksums of bytes in the form of S3's headers: base64 of the big-endian digest. The only importer of awscrt.

Owns computing, combining and incremental checksums. sha256 and md5 cannot be combined: that is an error. A large buffer
is hashed in a thread (awscrt and hashlib release the GIL), a small one on the event loop: see `_INLINE`.
"""

import asyncio
import base64
import hashlib
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, NamedTuple

from mirrord.model import Checksum, ChecksumKind
from mirrord.units import KiB, MiB

CrcFunction = Callable[[Any, int], int]  # awscrt's type hints require bytes; it accepts any buffer


class _CrcKind(NamedTuple):
    extend: CrcFunction
    combine: Callable[[int, int, int], int]


@cache
def _crc(kind: ChecksumKind) -> _CrcKind:
    """The functions of a kind in `_WIDTHS`. The first CRC imports awscrt: 40 ms of CPU that a pass that sends nothing
    does not need."""
    from awscrt import checksums as crt

    return {
        ChecksumKind.CRC64NVME: _CrcKind(crt.crc64nvme, crt.combine_crc64nvme),
        ChecksumKind.CRC32C: _CrcKind(crt.crc32c, crt.combine_crc32c),
        ChecksumKind.CRC32: _CrcKind(crt.crc32, crt.combine_crc32),
    }[kind]


_WIDTHS = {ChecksumKind.CRC64NVME: 8, ChecksumKind.CRC32C: 4, ChecksumKind.CRC32: 4}
"""The kinds that combine, with the bytes of a value."""
_INLINE = {
    ChecksumKind.CRC64NVME: MiB,
    ChecksumKind.CRC32C: MiB,
    ChecksumKind.CRC32: 256 * KiB,
    ChecksumKind.SHA256: 256 * KiB,
    ChecksumKind.MD5: 64 * KiB,
}
"""Buffers up to these sizes are hashed on the event loop: that takes 80 to 180 us, and a thread hop takes 80 us on two
cores. (1 GiB takes 0.08 to 1.88 s.)"""


class RunningChecksum:
    """An incremental checksum. `checksum()` may be called at any time."""

    def __init__(self, kind: ChecksumKind) -> None:
        self.kind = kind
        self.length = 0
        self._crc = 0
        self._hash = hashlib.new(kind.value, usedforsecurity=False) if _hashed(kind) else None

    def update(self, view: memoryview) -> None:
        self.length += view.nbytes
        if self._hash is not None:
            self._hash.update(view)
        elif self.kind in _WIDTHS:
            self._crc = _crc(self.kind).extend(view, self._crc)

    def checksum(self) -> Checksum | None:
        """The checksum of all bytes so far; None for kind NONE."""
        if self._hash is not None:
            return Checksum(self.kind, _text(self._hash.digest()))
        return _crc_checksum(self.kind, self._crc) if self.kind in _WIDTHS else None

    def hexadecimal(self) -> str:
        """The hex digest of all bytes so far; empty for kind NONE."""
        found = self.checksum()
        return hexadecimal(found) if found else ""


class MultipartMD5:
    """The ETag that most stores give to an object of equal parts: the MD5 of the parts' MD5s, and their number.

    `update` may get pieces of any sizes."""

    def __init__(self, part_size: int) -> None:
        self._part_size = part_size
        self._left = part_size  # bytes of the part that is hashed now
        self._part = hashlib.md5(usedforsecurity=False)
        self._parts = hashlib.md5(usedforsecurity=False)
        self._count = 0

    def update(self, view: memoryview) -> None:
        while len(view):
            piece = view[: self._left]
            self._part.update(piece)
            self._left -= len(piece)
            if not self._left:
                self._parts.update(self._part.digest())
                self._count += 1
                self._part, self._left = hashlib.md5(usedforsecurity=False), self._part_size
            view = view[len(piece) :]

    def etag(self) -> str:
        """Of all bytes so far: lower case, without quotes."""
        parts, count = self._parts.copy(), self._count
        if self._left < self._part_size or not count:
            parts.update(self._part.digest())
            count += 1
        return f"{parts.hexdigest()}-{count}"


def compute(kind: ChecksumKind, view: memoryview) -> Checksum | None:
    """The checksum of `view`, computed in the calling thread; None for kind NONE."""
    if kind in _WIDTHS:
        return _crc_checksum(kind, _crc(kind).extend(view, 0))
    running = RunningChecksum(kind)
    running.update(view)
    return running.checksum()


async def digest(kind: ChecksumKind, view: memoryview) -> Checksum | None:
    """As `compute`; a large buffer is hashed in a thread. `view` must not change, also after a cancellation: the thread
    may still read it."""
    if kind is ChecksumKind.NONE or view.nbytes <= _INLINE[kind]:
        return compute(kind, view)
    return await asyncio.to_thread(compute, kind, view)


async def extend(running: RunningChecksum, view: memoryview) -> None:
    """`running.update(view)`; a large buffer is hashed in a thread. `view` must not change, as in `digest`."""
    if running.kind is ChecksumKind.NONE or view.nbytes <= _INLINE[running.kind]:
        running.update(view)
    else:
        await asyncio.to_thread(running.update, view)


def combines(kind: ChecksumKind) -> bool:
    """Whether the checksum of the whole can be computed from the checksums of its pieces: True for the CRC kinds."""
    return kind in _WIDTHS


def combine(kind: ChecksumKind, pieces: Iterable[tuple[Checksum, int]]) -> Checksum:
    """The checksum of the concatenation of pieces of known lengths (bytes). ValueError: the kind cannot be
    combined, or a piece has another kind."""
    if kind not in _WIDTHS:
        raise ValueError(f"{kind} checksums of pieces do not combine; only {', '.join(_WIDTHS)} do")
    whole = 0
    for piece, length in pieces:
        if piece.kind is not kind:
            raise ValueError(f"a {piece.kind} checksum among {kind} ones")
        whole = _crc(kind).combine(whole, int.from_bytes(base64.b64decode(piece.value), "big"), length)
    return _crc_checksum(kind, whole)


def composite(kind: ChecksumKind, pieces: Iterable[Checksum]) -> Checksum | None:
    """The checksum of the concatenated digests of the pieces: S3's COMPOSITE checksum, without its `-N`."""
    return compute(kind, memoryview(b"".join(base64.b64decode(piece.value) for piece in pieces)))


def hexadecimal(checksum: Checksum) -> str:
    """The hex digest, as in checksum files and ETags."""
    return base64.b64decode(checksum.value).hex()


def from_hexadecimal(kind: ChecksumKind, digits: str) -> Checksum:
    """The checksum of a hex digest. ValueError if it is not hexadecimal."""
    return Checksum(kind, _text(bytes.fromhex(digits)))


def _hashed(kind: ChecksumKind) -> bool:
    return kind in (ChecksumKind.SHA256, ChecksumKind.MD5)


def _crc_checksum(kind: ChecksumKind, crc: int) -> Checksum:
    return Checksum(kind, _text(crc.to_bytes(_WIDTHS[kind], "big")))


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
