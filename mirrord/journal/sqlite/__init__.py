"""The journal in one SQLite file: the schema in `migrations/`, the statements by name in `queries.sql`."""

from mirrord.journal.sqlite.journal import SqliteJournal

__all__ = ["SqliteJournal"]
