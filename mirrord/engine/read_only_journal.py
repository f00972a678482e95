"""A journal for programs that only read and for the dry run of `plan`."""

from collections.abc import Mapping, Sequence

from mirrord.engine.journals import database_to_read
from mirrord.journal.sql.journal import SqlJournal
from mirrord.journal.sqlite.quick_search import entries_beginning, keys_beginning
from mirrord.model import Holder, LearnedFact, ObjectOptions, Record
from mirrord.settings import Settings


class ReadOnlyJournal(SqlJournal):
    """Drops the writes of a dry run: the reconciler runs to its end, and nothing is recorded."""

    async def save(self, record: Record) -> None:
        """Records nothing."""

    async def save_all(self, records: Sequence[Record]) -> None:
        """Records nothing."""

    async def learn(self, fact: LearnedFact) -> None:
        """Records nothing."""

    async def remember_options(self, digest: str, options: ObjectOptions) -> None:
        """Records nothing."""

    async def hold(self, items: Mapping[Holder, Sequence[str]]) -> None:
        """Records nothing."""

    async def release(self, item_ids: Sequence[str]) -> None:
        """Records nothing."""

    async def retire(self, item_ids: Sequence[str], when: float) -> None:
        """Records nothing."""

    async def finish(self, transfer_id: str, record: Record) -> None:
        """Records nothing."""


def read_journal(settings: Settings) -> ReadOnlyJournal:
    """The journal, opened by `async with` without the state lock. Opening raises JournalError and its children."""
    return ReadOnlyJournal(database_to_read(settings), read_only=True)


def offered(settings: Settings, prefix: str, most: int, seconds: float) -> tuple[list[str], list[str]]:
    """Addresses `bucket/key` and names of entries that begin with `prefix`, for a shell: at most `most` of each, those
    found within so many seconds. Nothing of a journal in PostgreSQL: to connect may take longer than a shell waits."""
    if settings.database is not None:
        return [], []
    entries = entries_beginning(settings.state, prefix, most, seconds / 4)
    return keys_beginning(settings.state, prefix, most, seconds * 3 / 4), entries
