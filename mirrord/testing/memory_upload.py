"""A multipart upload of the fake store, and what S3 refuses when it is completed."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from mirrord import checksums
from mirrord.errors import EntityTooSmall, InvalidPart, InvalidPartOrder, StoreRefused
from mirrord.model import Checksum, ChecksumKind, Destination, ObjectOptions, Part


@dataclass(slots=True)
class MemoryUpload:
    """An open multipart upload."""

    at: Destination
    options: ObjectOptions
    checksum: ChecksumKind
    initiated: float
    parts: dict[int, tuple[Part, bytes]] = field(default_factory=dict)

    def pieces(self, at: Destination, parts: Sequence[Part], min_part: int) -> list[bytes]:
        """The bytes of the parts of a Complete. `min_part`: bytes of the smallest part that is not the last."""
        numbers = [part.number for part in parts]
        if not parts:
            raise StoreRefused(f"CompleteMultipartUpload {at}: MalformedXML: no parts")
        if numbers != sorted(set(numbers)):
            raise InvalidPartOrder(f"CompleteMultipartUpload {at}: parts {numbers} do not ascend")
        pieces = [self._piece(at, part) for part in parts]
        if any(len(piece) < min_part for piece in pieces[:-1]):
            raise EntityTooSmall(f"CompleteMultipartUpload {at}: a part is under {min_part} bytes")
        return pieces

    def _piece(self, at: Destination, part: Part) -> bytes:
        kept, content = self.parts.get(part.number, (None, b""))
        if kept is None or kept.etag != part.etag:
            raise InvalidPart(f"CompleteMultipartUpload {at}: part {part.number} was not uploaded as {part.etag}")
        return content

    def composite(self) -> Checksum | None:
        """The checksum of the digests of its parts."""
        found = (
            checksums.compute(self.checksum, memoryview(content)) for _, (_, content) in sorted(self.parts.items())
        )
        return checksums.composite(self.checksum, [digest for digest in found if digest is not None])


def refuse_other_key(at: Destination, customer_key: str | None) -> None:
    """Raise StoreRefused if an object or upload has another key for SSE-C than the request."""
    if at.customer_key != customer_key:
        raise StoreRefused(f"{at}: InvalidRequest: Server Side Encryption: the object is encrypted with another key")
