"""One SQLite connection on one thread of its own, as awaitable reads and grouped commits.

Owns the thread and the order of work on it: what is asked first is done first. Commits are grouped: what is asked
while one commit runs goes together into the next, so that many callers share its price, and each returns only once
its own statements are committed. A group that fails fails for all of it; nothing of it stands.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple, Self, TypeVar

from mirrord.aio import finish
from mirrord.errors import JournalError, JournalUnavailable
from mirrord.journal.sqlite.connection import (
    Stamp,
    empty_wal,
    identity,
    keep_wal_small,
    open_to_read,
    open_to_write,
    stamp_of,
    written,
)
from mirrord.journal.sqlite.failures import translated
from mirrord.journal.sqlite.rows import Row
from mirrord.journal.sqlite.schema import queries

T = TypeVar("T")


class Statement(NamedTuple):
    name: str  # in queries.sql
    values: Row


class Database:
    """A file of the journal's schema. All calls raise JournalError and its children; cancelling a caller undoes
    nothing: what it asked for may still be committed."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._path = path
        self._read_only = read_only
        self._thread: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None
        self._stamp: Stamp | None = None
        self._file: tuple[int, int] | None = None  # which one is open to write
        self._asked: list[tuple[tuple[Statement, ...], asyncio.Future[None]]] = []
        self._committing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        try:
            await self._run(self._open)
        except BaseException:
            await finish(self._end())
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await finish(self._end())

    async def read(self, name: str, values: Row) -> list[sqlite3.Row]:
        """The rows of one query of queries.sql, all of them: bound it there."""
        return await self._run(partial(self._fetch, queries()[name], values))

    async def write(self, *statements: Statement) -> None:
        """Commit the statements together, or none of them."""
        if self._thread is None or self._read_only:
            raise JournalError(f"the journal {self._path} is not open for writing")
        if not statements:
            return
        committed = asyncio.get_running_loop().create_future()
        self._asked.append((statements, committed))
        if self._committing is None or self._committing.done():
            self._committing = asyncio.create_task(self._commit_asked())
        await committed

    async def last_written(self) -> float | None:
        """When any process last wrote to the file or its -wal; None where there is no file.

        Raises JournalUnavailable if another file, or none, stands in the place of the one that is open to write.
        """
        return await self._run(self._last_written)

    async def _commit_asked(self) -> None:
        while self._asked:
            group, self._asked = self._asked, []
            statements = [statement for each, _ in group for statement in each]
            work = self._run(partial(self._commit, statements))
            (error,) = await asyncio.gather(work, return_exceptions=True)
            for _, committed in group:
                _settle(committed, error)

    async def _run(self, work: Callable[[], T]) -> T:
        if self._thread is None:
            raise JournalError(f"the journal {self._path} is not open")
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _end(self) -> None:
        if self._committing is not None:
            await asyncio.wait([self._committing])
        thread = self._thread
        if thread is None:
            return
        try:
            await self._run(self._close)
        finally:
            self._thread = None
            thread.shutdown()

    # ── on the journal's thread ───────────────────────────────────────────────────────────────────
    def _open(self) -> None:
        with translated(self._path):
            if self._read_only:
                self._connection, self._stamp = open_to_read(self._path)
            else:
                self._connection = open_to_write(self._path)
                self._file = identity(self._path)

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with translated(self._path):
                connection.close()

    def _commit(self, statements: list[Statement]) -> None:
        connection = self._held()
        with translated(self._path):
            self._check_place()
            try:
                _transact(connection, statements)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_FULL:
                    raise
                empty_wal(connection)  # what the -wal takes may be all that is missing
                _transact(connection, statements)
            keep_wal_small(connection, self._path)

    def _last_written(self) -> float | None:
        with translated(self._path):
            self._check_place()
            return written(self._path)

    def _check_place(self) -> None:
        """What is written to a file that was removed is lost with the process."""
        if self._file is not None and identity(self._path) != self._file:
            raise JournalUnavailable(
                f"the journal {self._path} was removed or replaced while it was open; restart mirrord, which finds by "
                "the objects' metadata what it stored"
            )

    def _fetch(self, query: str, values: Row) -> list[sqlite3.Row]:
        while True:
            with translated(self._path):
                try:
                    rows = self._held().execute(query, values).fetchall()
                except sqlite3.Error:
                    if not self._moved():
                        raise
                else:
                    if not self._moved():
                        return rows
            self._close()  # a writer came: what was read may be of two moments
            self._open()

    def _held(self) -> sqlite3.Connection:
        if self._connection is None:
            raise JournalError(f"the journal {self._path} is not open")
        return self._connection

    def _moved(self) -> bool:
        return self._stamp is not None and self._stamp != stamp_of(self._path)


def _transact(connection: sqlite3.Connection, statements: list[Statement]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for name, values in statements:
            connection.execute(queries()[name], values)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _settle(committed: asyncio.Future[None], error: BaseException | None) -> None:
    if committed.done():  # its caller was cancelled
        return
    if error is None:
        committed.set_result(None)
    else:
        committed.set_exception(error)
