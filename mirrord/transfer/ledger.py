"""The durable steps of a transfer, so that a crash or an interruption loses only the requests in flight.

Owns the protocol that `transfer` calls at each step. The caller implements it (`reconcile.ledger` over the journal).
The library has no journal and uses NullLedger, which writes nothing and keeps no parts.
"""

from collections.abc import Mapping
from typing import Protocol

from mirrord.frozen import frozen
from mirrord.model import Checksum, Part, StoredObject


class Ledger(Protocol):
    """The steps of one transfer. A step is durable when its call returns; only then the next request is sent."""

    async def opened(self, upload_id: str) -> None:
        """The store created the upload."""

    async def unanswered(self) -> None:
        """CreateMultipartUpload got no usable answer: the store may have an upload whose id is unknown."""

    async def part_done(self, part: Part) -> None:
        """The store confirmed the part. `part.checksum` is the one that was sent."""

    async def completing(self, whole: Checksum | None) -> None:
        """The object may become visible from now on. Called before each CompleteMultipartUpload, and before a put."""

    async def complete_refused(self) -> None:
        """Every request to complete the upload was refused: none of them made the object visible."""

    def mismatched(self, stored: StoredObject) -> None:
        """The object is visible, and the store shows another length or checksum than was sent."""

    def keeps(self, error: BaseException | None) -> bool:
        """Whether the parts stay at the store for another attempt after `error`. None: there was no error."""


class NullLedger:
    """For transfers that are never resumed."""

    async def opened(self, upload_id: str) -> None: ...

    async def unanswered(self) -> None: ...

    async def part_done(self, part: Part) -> None: ...

    async def completing(self, whole: Checksum | None) -> None: ...

    async def complete_refused(self) -> None: ...

    def mismatched(self, stored: StoredObject) -> None: ...

    def keeps(self, error: BaseException | None) -> bool:  # noqa: ARG002 - the port's
        return False


NULL_LEDGER = NullLedger()


@frozen
class ResumedUpload:
    """An upload that an earlier attempt left open, and its confirmed parts by number. They are not sent again."""

    upload_id: str
    parts: Mapping[int, Part]
    uncertain: bool = False
    """CompleteMultipartUpload was sent before, and its outcome is unknown."""

    @property
    def size(self) -> int:
        """Bytes of `parts`."""
        return sum(part.size for part in self.parts.values())
