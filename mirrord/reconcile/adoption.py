"""Whether an object that another tool wrote has the bytes of the source, so that nothing needs to be written.

Owns the passes over a file, and the questions to other sources, of which no byte is read for this. Which evidence
counts is decided by `planning.decisions.adoption`. Sends nothing to the store.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import field
from logging import getLogger

from mirrord import checksums
from mirrord.aio import CooperativePause
from mirrord.frozen import frozen
from mirrord.model import Checksum, ChecksumKind, Item, Revision, StoredObject
from mirrord.planning.decisions.adoption import (
    Evidence,
    SameBytes,
    equal_checksum,
    equals_file,
    equals_object,
    evidence,
    reading,
)
from mirrord.ports import ByteStream
from mirrord.reconcile.due_copy import DueCopy
from mirrord.reconcile.transfer_attempt import LONG_READBACK
from mirrord.transfer.budget import Budget
from mirrord.transfer.copy import refuse
from mirrord.transfer.readback import READ_SIZE
from mirrord.transfer.spec import SourceDemands
from mirrord.units import KiB, format_size

_log = getLogger(__name__)

_INLINE = 64 * KiB
"""Bytes that are hashed on the event loop, all hashes together: a thread hop takes as long."""
_MOST_REMEMBERED = 10_000


async def same_bytes(due: DueCopy, stored: StoredObject, budget: Budget) -> SameBytes | None:
    """What shows that `stored`, the object at the item's key, has the bytes of the source; None: nothing does.

    A file is read once, or twice for unusual part sizes, with one buffer of `budget`. Raises what the source and
    `transfer.copy.refuse` raise, and SourceChanged if the file changed meanwhile.
    """
    refuse(due.observed, due.demands)
    shown, declared = evidence(stored), _declared(due.demands)
    if due.observed.revision.file is not None:
        return await _compared_file(due, shown, declared, budget)
    if due.observed.object is not None and not declared:
        is_equal = equals_object(shown, evidence(due.observed.object.stored))
        return SameBytes(due.observed.object.stored.checksum) if is_equal else None
    stated = declared or await due.source.stated(due.observed)
    equal = equal_checksum(shown, stated)
    return None if equal is None else SameBytes(equal, due.demands.digest)


async def _compared_file(
    due: DueCopy, shown: Evidence, declared: Sequence[Checksum], budget: Budget
) -> SameBytes | None:
    if shown.size > LONG_READBACK:
        _log.info("%s: %s are read, to compare them with its object", due.item.shown_source, format_size(shown.size))
    wanted = reading(shown)
    kinds = tuple(dict.fromkeys((*wanted.kinds, *(one.kind for one in declared))))
    for part_sizes in wanted.passes:
        size, found, etags = await _hashed(due, kinds, part_sizes, budget)
        if not set(declared) <= set(found):
            return None
        if equals_file(shown, size, found, etags):
            return SameBytes(found[0], due.demands.digest)
    return None


async def _hashed(
    due: DueCopy, kinds: Sequence[ChecksumKind], part_sizes: Sequence[int], budget: Budget
) -> tuple[int, list[Checksum], list[str]]:
    """One pass over the file: its length, its checksums in the order of `kinds`, its ETags with these part sizes."""
    running = [checksums.RunningChecksum(kind) for kind in kinds]
    parted = [checksums.MultipartMD5(size) for size in part_sizes]
    async with due.source.open(due.observed) as stream:
        size = await _read(stream, [*running, *parted], budget)
    await due.source.confirm(due.observed)
    found = [one for each in running if (one := each.checksum()) is not None]
    return size, found, [one.etag() for one in parted]


async def _read(
    stream: ByteStream, hashes: Sequence[checksums.RunningChecksum | checksums.MultipartMD5], budget: Budget
) -> int:
    """Read `stream` to its end into all `hashes`. Returns the number of bytes."""

    def update(piece: memoryview) -> None:
        for one in hashes:
            one.update(piece)

    size, pause = 0, CooperativePause()
    async with budget.buffer(min(READ_SIZE, budget.limit)) as view:
        while count := await budget.bandwidth.read(stream, view):
            size += count
            if count * len(hashes) <= _INLINE:
                update(view[:count])
            else:
                await asyncio.to_thread(update, view[:count])
            await pause.when_due()
    return size


def _declared(demands: SourceDemands) -> list[Checksum]:
    """The digests that the manifest or the list declares."""
    declared = {ChecksumKind.SHA256: demands.sha256, ChecksumKind.MD5: demands.md5}
    return [checksums.from_hexadecimal(kind, digits) for kind, digits in declared.items() if digits is not None]


@frozen
class Differing:
    """Objects that were compared in this process and have other bytes, so that a check that is repeated, because the
    object may not be overwritten or the store does not answer, does not read the file again."""

    _known: dict[str, tuple[str, Revision]] = field(default_factory=dict)

    def has(self, item: Item, stored: StoredObject, revision: Revision) -> bool:
        return self._known.get(item.id) == (stored.etag, revision)

    def add(self, item: Item, stored: StoredObject, revision: Revision) -> None:
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        self._known[item.id] = stored.etag, revision
