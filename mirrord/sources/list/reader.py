"""Reads a list from its source, a file or a URL, into an intake.

Owns the steps of one reading. A body that is cut short leaves the rows before the cut; the list is then incomplete.
"""

from mirrord.aio import CooperativePause
from mirrord.declared import ListSpec
from mirrord.errors import SourceError
from mirrord.frozen import frozen
from mirrord.model import Revision
from mirrord.ports import Source
from mirrord.sources.list.intake import Keep, ListFaults, ListIntake
from mirrord.units import KiB

_BUFFER = 16 * KiB
"""Bytes read at a time."""
_CODINGS = (None, "gzip", "x-gzip")


@frozen
class ListReading:
    """The result of one reading. `revision`: to ask whether the list is still the same; None: its bytes were not all
    read, so it must be read again."""

    revision: Revision | None
    rows: int
    faults: ListFaults

    @property
    def complete(self) -> bool:
        """Whether a source that is not in it has left the list."""
        return not self.faults


async def read_list(spec: ListSpec, source: Source, keep: Keep, known: Revision | None = None) -> ListReading | None:
    """Read the list, and call `keep` for each good row; None: it still is the revision `known`.

    Raises SourceError if the list cannot be read at all.
    """
    async with source:
        observed = await source.probe(known)
        if observed is None:
            return None
        intake = ListIntake(spec, keep)
        if observed.content_encoding not in _CODINGS:
            intake.faults.cut(f"is sent with Content-Encoding {observed.content_encoding}, which mirrord does not read")
            return ListReading(observed.revision, 0, intake.faults)
        buffer, pause, revision = memoryview(bytearray(_BUFFER)), CooperativePause(), None
        try:
            async with source.open(observed) as stream:
                while count := await stream.readinto(buffer):
                    for _ in intake.feed(bytes(buffer[:count])):
                        await pause.when_due()
                    if intake.faults.why:
                        break
            await source.confirm(observed)
            revision = observed.revision
        except SourceError as error:
            intake.faults.cut(f"is incomplete: {error}")
        intake.end(proven=observed.end_proven)
    return ListReading(revision, intake.rows, intake.faults)
