"""The journal in PostgreSQL: the schema in `migrations/`, the statements by name in `queries.sql`.

The one package that imports psycopg, which only the extra `postgres` installs.
"""

from mirrord.journal.postgres.address import address_of
from mirrord.journal.postgres.copying import PostgresCopy
from mirrord.journal.postgres.database import PostgresDatabase
from mirrord.journal.postgres.journal import PostgresJournal
from mirrord.journal.postgres.lease import Lease
from mirrord.journal.postgres.migrating import migrate
from mirrord.journal.postgres.tickets import PostgresTickets
from mirrord.journal.postgres.worker_lease import WorkerLease

__all__ = [
    "Lease",
    "PostgresCopy",
    "PostgresDatabase",
    "PostgresJournal",
    "PostgresTickets",
    "WorkerLease",
    "address_of",
    "migrate",
]
