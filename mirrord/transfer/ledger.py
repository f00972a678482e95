"""What a transfer writes down as it goes, so that a crash or an interruption loses no more than what is in flight.

Owns the edges as `transfer` sees them; the journal behind them is the caller's. Without one (the library) nothing is
written and nothing is kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from mirrord.model import Checksum, Part, StoredObject


class Ledger(Protocol):
    """One transfer's edges. Each call has been made durable when it returns, and only then comes the next step."""

    async def opened(self, upload_id: str) -> None:
        """The upload stands at the store."""

    async def unanswered(self) -> None:
        """The store was asked to open an upload and gave no answer: one may stand there whose id nobody knows."""

    async def part_done(self, part: Part) -> None:
        """The store confirmed the part; `part.checksum` is the one it was sent with."""

    async def completing(self, whole: Checksum | None) -> None:
        """From here on the object may become visible; told again before each repeat of the request."""

    async def complete_refused(self) -> None:
        """The store answered each of the requests that it did not make the object visible."""

    def mismatched(self, stored: StoredObject) -> None:
        """The object is visible, and the store says that it holds other bytes than were sent."""

    def keeps(self, error: BaseException | None) -> bool:
        """Whether, after `error`, the parts stay at the store for another attempt. None: nothing went wrong."""


class NullLedger:
    """For transfers that nobody will take up again."""

    async def opened(self, upload_id: str) -> None: ...

    async def unanswered(self) -> None: ...

    async def part_done(self, part: Part) -> None: ...

    async def completing(self, whole: Checksum | None) -> None: ...

    async def complete_refused(self) -> None: ...

    def mismatched(self, stored: StoredObject) -> None: ...

    def keeps(self, error: BaseException | None) -> bool:  # noqa: ARG002
        return False


NULL_LEDGER = NullLedger()


@dataclass(frozen=True, slots=True)
class ResumedUpload:
    """An upload that an earlier attempt left open, and its parts (by number) that need not be sent again."""

    upload_id: str
    parts: Mapping[int, Part]
    uncertain: bool = False
    """CompleteMultipartUpload was sent for it before, and its outcome is unknown."""

    @property
    def size(self) -> int:
        """Bytes in the kept parts."""
        return sum(part.size for part in self.parts.values())
