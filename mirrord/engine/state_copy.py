"""`mirrord state copy`: opens both journals under their locks, and copies one into the other.

Owns what is locked: the state directory of a journal in SQLite, the lease of one in PostgreSQL.
"""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from mirrord.engine.journals import journal_to_copy
from mirrord.errors import JournalError
from mirrord.journal.lock import StateLock
from mirrord.journal.sql.copying import copy_journal
from mirrord.model import Secret


async def copied(source: Path | Secret, target: Path | Secret) -> Mapping[str, int]:
    """Copy the journal. A journal is a file of SQLite, or the address of a database. Returns the rows of each table.

    Raises JournalLocked if another process has one of both, JournalError and its children: then nothing is copied.
    """
    _check(source, target)
    files = [one for one in (source, target) if isinstance(one, Path)]
    async with AsyncExitStack() as life:
        for directory in sorted({one.parent.resolve() for one in files}):
            life.enter_context(StateLock(directory))
        one = await life.enter_async_context(journal_to_copy(source, to_write=False))
        other = await life.enter_async_context(journal_to_copy(target, to_write=True))
        return await copy_journal(one, other)


def _check(source: Path | Secret, target: Path | Secret) -> None:
    if isinstance(source, Path) and not source.exists():
        raise JournalError(f"there is no journal {source}; name the state that `mirrord run` used as FROM")
    if source == target or (isinstance(source, Path) and isinstance(target, Path) and _is_same(source, target)):
        raise JournalError("FROM and TO are the same journal")


def _is_same(source: Path, target: Path) -> bool:
    return target.exists() and source.samefile(target)
