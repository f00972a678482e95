"""`ports.Journal` in one SQLite file."""

from pathlib import Path

from mirrord.journal.sql.journal import SqlJournal
from mirrord.journal.sqlite.database import SqliteDatabase


class SqliteJournal(SqlJournal):
    """The journal of one machine, in a file (0600) of the state directory (0700). Both are created if missing.

    A write that has returned survives kill -9. Entering raises JournalTooNew for a journal of a newer mirrord,
    JournalUnavailable if disk or permissions refuse, JournalError with a remedy for a damaged file; an older schema is
    migrated. A writer must hold the StateLock. A full disk raises JournalUnavailable until there is space again.

    `read_only`: writes nothing, needs no lock, reads beside a running daemon, and is empty if there is no journal.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        super().__init__(SqliteDatabase(path, read_only=read_only), read_only=read_only)
