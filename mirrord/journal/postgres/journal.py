"""`ports.Journal` in PostgreSQL."""

from mirrord.journal.postgres.address import ServerAddress
from mirrord.journal.postgres.database import PostgresDatabase
from mirrord.journal.postgres.lease import Lease
from mirrord.journal.sql.journal import SqlJournal


class PostgresJournal(SqlJournal):
    """The journal in a database of PostgreSQL, whose schema `migrate` made.

    A write that has returned is committed by PostgreSQL; one that failed with JournalUnavailable may be, too. Calls
    raise JournalUnavailable while PostgreSQL is away, and writes JournalTakenOver if another process has the lease.

    `lease`: of the one process that writes. None: writes nothing, and reads beside it.
    """

    def __init__(self, address: ServerAddress, lease: Lease | None = None) -> None:
        super().__init__(PostgresDatabase(address, lease), read_only=lease is None)
