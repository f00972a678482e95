"""Opens the journal that the settings name: a file of SQLite, or a database of PostgreSQL.

Owns what differs between them before the journal is open: the extra that PostgreSQL needs, its lease, the wait for it,
and the end of a process that lost it. The state lock is for one host: `wiring` takes it in both cases.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from mirrord.aio import drain, finish
from mirrord.errors import JournalError, JournalLocked, JournalTakenOver, JournalUnavailable
from mirrord.frozen import frozen
from mirrord.journal.sql.copying import CopyEnd
from mirrord.journal.sql.database import Database
from mirrord.journal.sqlite.copying import SqliteCopy
from mirrord.journal.sqlite.database import SqliteDatabase
from mirrord.journal.sqlite.journal import SqliteJournal
from mirrord.model import Secret
from mirrord.ports import Journal
from mirrord.ports.tickets import SharedTickets, WorkerTickets
from mirrord.settings import Settings

if TYPE_CHECKING:
    from mirrord.journal.postgres import Lease

ASK_EVERY = 0.5
"""Seconds between two questions of a standby whether the lease is free."""

Standby = Callable[[JournalLocked], AbstractAsyncContextManager[None]]
"""What a process does while it waits for the lease; the error names the process that has it."""


@frozen
class OpenState:
    """The journal of the process that has the state; and the tickets for its workers, None with SQLite."""

    journal: Journal
    tickets: SharedTickets | None = None


@frozen
class WorkerState:
    """The journal of a worker, and the tickets that it takes."""

    journal: Journal
    tickets: WorkerTickets


@asynccontextmanager
async def journal_to_write(settings: Settings, standby: Standby | None = None) -> AsyncIterator[OpenState]:
    """The journal of the process that has the state. Raises JournalError and its children.

    In PostgreSQL that is the process with the lease. If another one has it, JournalLocked is raised, or with `standby`
    the lease is waited for. If another one takes it over, the block is cancelled and JournalTakenOver raised.
    """
    if settings.database is None:
        async with SqliteJournal(settings.state) as journal:
            yield OpenState(journal)
        return
    postgres = _postgres()
    address = postgres.address_of(settings.database)
    async with AsyncExitStack() as life:
        lease = postgres.Lease(address)
        await _taken(lease, life, standby)
        async with (
            postgres.PostgresJournal(address, lease) as journal,
            postgres.PostgresTickets(address, lease) as tickets,
            _until_lost(lease, settings.journal),
        ):
            yield OpenState(journal, tickets)


@asynccontextmanager
async def worker_state(settings: Settings, slots: int) -> AsyncIterator[WorkerState]:
    """The journal in PostgreSQL of a worker that checks so many items at a time, beside the process that has the state.
    Raises as `journal_to_write`."""
    assert settings.database is not None
    postgres = _postgres()
    address = postgres.address_of(settings.database)
    async with (
        postgres.WorkerLease(address, slots) as lease,
        postgres.PostgresJournal(address, lease) as journal,
        postgres.PostgresTickets(address, lease) as tickets,
        _until_lost(lease, settings.journal),
    ):
        yield WorkerState(journal, tickets)


def database_to_read(settings: Settings) -> Database:
    """The database of the journal, for programs that write nothing."""
    if settings.database is None:
        return SqliteDatabase(settings.state, read_only=True)
    postgres = _postgres()
    database: Database = postgres.PostgresDatabase(postgres.address_of(settings.database), None)
    return database


async def migrated(settings: Settings) -> str:
    """Bring the schema of the journal to the newest version. Returns what was done, for people."""
    if settings.database is None:
        return (
            f"nothing to do: the journal {settings.journal} is of SQLite, which each command that writes migrates when "
            "it starts"
        )
    before, after = await _postgres().migrate(settings.database)
    if before == after:
        return f"nothing to do: the journal {settings.journal} has schema {after}"
    return f"the journal {settings.journal} has schema {after} now" + (f", after {before}" if before else "")


def _postgres() -> ModuleType:
    """The package, imported only for a journal in PostgreSQL. Raises JournalError if psycopg is not installed."""
    try:
        from mirrord.journal import postgres
    except ImportError as error:
        raise JournalError(
            f"a journal in PostgreSQL needs psycopg ({error}); install it: pip install 'mirrord[postgres]'"
        ) from error
    return postgres


async def _taken(lease: "Lease", life: AsyncExitStack, standby: Standby | None) -> None:
    """Hold the lease until `life` ends."""
    try:
        await life.enter_async_context(lease)
    except JournalLocked as error:
        if standby is None:
            raise
        async with standby(error):
            try:
                while not await _is_taken(lease, life):  # noqa: ASYNC110 - the event is in PostgreSQL
                    await asyncio.sleep(ASK_EVERY)
            except BaseException:
                await finish(lease.close())
                raise


async def _is_taken(lease: "Lease", life: AsyncExitStack) -> bool:
    try:
        if await lease.is_held():
            return False
        await life.enter_async_context(lease)
    except (JournalLocked, JournalUnavailable):
        return False
    return True


@asynccontextmanager
async def _until_lost(lease: "Lease", shown: str) -> AsyncIterator[None]:
    """Cancel the block when another process has the lease: it must change nothing more, also not at the stores."""

    def end(_: object) -> None:
        limit.reschedule(asyncio.get_running_loop().time())

    try:
        async with asyncio.timeout(None) as limit:
            watching = asyncio.create_task(lease.lost())
            watching.add_done_callback(end)
            try:
                yield
            finally:
                watching.remove_done_callback(end)
                await drain([watching])
    except TimeoutError:
        if not limit.expired():
            raise
        raise JournalTakenOver(
            f"another mirrord took over the state {shown}: this one was paused or cut off for longer than its lease; "
            "it ends, and writes nothing more"
        ) from None


@asynccontextmanager
async def journal_to_copy(journal: Path | Secret, *, to_write: bool) -> AsyncIterator[CopyEnd]:
    """One end of `mirrord state copy`. Raises JournalLocked if another process has the lease of a database; the caller
    has the state lock of a file."""
    if isinstance(journal, Path):
        async with SqliteCopy(journal, to_write=to_write) as file:
            yield file
        return
    postgres = _postgres()
    address = postgres.address_of(journal)
    async with postgres.Lease(address) as lease, postgres.PostgresCopy(address, lease) as database:
        yield database
