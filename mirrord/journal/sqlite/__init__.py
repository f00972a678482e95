"""The journal in one SQLite file: schema in `migrations/`, statements by name in `queries.sql`."""

from mirrord.journal.sqlite.journal import SqliteJournal

__all__ = ["SqliteJournal"]
