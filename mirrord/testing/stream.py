"""The bytes of an object of the store in memory: as a stream, and their ETags."""

import hashlib
from collections.abc import Sequence

from mirrord import checksums
from mirrord.errors import ChecksumMismatch
from mirrord.model import Checksum, Destination, Part


class MemoryStream:
    """ports.ByteStream over bytes."""

    def __init__(self, content: bytes) -> None:
        self._left = memoryview(content)

    async def readinto(self, view: memoryview) -> int:
        size = min(len(view), len(self._left))
        view[:size], self._left = self._left[:size], self._left[size:]
        return size


def etag_of(content: bytes) -> str:
    """Of a single put."""
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'


def multipart_etag(parts: Sequence[Part]) -> str:
    """Of an upload in parts."""
    digests = b"".join(bytes.fromhex(part.etag.strip('"')) for part in parts)
    return f'"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"'


def refuse_other_bytes(at: Destination, content: bytes, checksum: Checksum | None) -> None:
    """What a store does with a checksum. Raises ChecksumMismatch."""
    if checksum is not None and checksums.compute(checksum.kind, memoryview(content)) != checksum:
        raise ChecksumMismatch(f"{at}: BadDigest: the {checksum.kind} of the bytes received differs")
