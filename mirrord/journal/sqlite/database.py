"""One SQLite connection on a thread of its own, with awaitable reads and grouped commits.

Owns the thread and the order of work on it. Calls are grouped, hardly delayed: all calls that arrive while the thread
works, and in a few turns of the event loop after it, are its next group, with one hop to the thread and back. In a
group the writes share one commit and its cost, then come the reads, each on its own. A write returns only when its own
statements are committed. If a commit fails, every write of the group fails and none is committed.
"""

import asyncio
import json
import sqlite3
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Self, TypeVar

from mirrord.aio import finish
from mirrord.errors import JournalError, JournalUnavailable
from mirrord.journal.sql.database import Rows, SqlValues, Statement
from mirrord.journal.sql.groups import Groups, Read, Write
from mirrord.journal.sqlite.connection import (
    FileStat,
    empty_wal,
    file_stat,
    identity,
    keep_wal_small,
    last_written,
    open_to_read,
    open_to_write,
)
from mirrord.journal.sqlite.failures import translated
from mirrord.journal.sqlite.schema import queries

T = TypeVar("T")


class SqliteDatabase:
    """A file with the journal's schema, open inside `async with`. See `sql.database.Database`."""

    worker = ""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._path = path
        self._read_only = read_only
        self._thread: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None
        self._stat: FileStat | None = None  # of a file that was opened as immutable
        self._file: tuple[int, int] | None = None  # identity of the file that is open to write
        self._groups = Groups(lambda writes, reads: self._run(partial(self._serve, writes, reads)))

    async def __aenter__(self) -> Self:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        try:
            await self._run(self._open)
        except BaseException:
            await finish(self._shut_down())
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await finish(self._shut_down())

    async def read(self, name: str, values: SqlValues) -> Rows:
        if self._thread is None:
            raise JournalError(f"the journal {self._path} is not open")
        return await self._groups.read(Statement(name, values))

    async def write(self, *statements: Statement) -> None:
        if self._thread is None or self._read_only:
            raise JournalError(f"the journal {self._path} is not open for writing")
        if statements:
            await self._groups.write(statements)

    def many(self, texts: Collection[str]) -> str:
        return json.dumps(list(texts))

    async def last_written(self) -> float | None:
        """When any process last wrote to the file or its -wal file; None if there is no file.

        Raises JournalUnavailable if the file that is open to write was removed or replaced.
        """
        return await self._run(self._last_written)

    async def with_connection(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """The result of the work, on the journal's thread: for what no statement of queries.sql does."""

        def worked() -> T:
            with translated(self._path):
                return work(self._opened())

        return await self._run(worked)

    async def _run(self, work: Callable[[], T]) -> T:
        if self._thread is None:
            raise JournalError(f"the journal {self._path} is not open")
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _shut_down(self) -> None:
        await self._groups.end()
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
                self._connection, self._stat = open_to_read(self._path)
            else:
                self._connection = open_to_write(self._path)
                self._file = identity(self._path)

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with translated(self._path):
                connection.close()

    def _serve(self, writes: list[Write], reads: list[Read]) -> list[Rows | Exception]:
        """The result or the error of each call of a group."""
        committed = _result_of(partial(self._commit, [one for write in writes for one in write.statements]))
        found = [_result_of(partial(self._fetch, queries()[query.name], query.values)) for query, _ in reads]
        return [committed] * len(writes) + found

    def _commit(self, statements: list[Statement]) -> Rows:
        if not statements:
            return []
        connection = self._opened()
        with translated(self._path):
            self._check_file()
            try:
                _transact(connection, statements)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_FULL:
                    raise
                empty_wal(connection)  # the space of the -wal file may suffice
                _transact(connection, statements)
            keep_wal_small(connection, self._path)
        return []

    def _last_written(self) -> float | None:
        with translated(self._path):
            self._check_file()
            return last_written(self._path)

    def _check_file(self) -> None:
        """Raise JournalUnavailable if the file was removed or replaced: its writes end with the process."""
        if self._file is not None and identity(self._path) != self._file:
            raise JournalUnavailable(
                f"the journal {self._path} was removed or replaced while it was open; restart mirrord, which finds by "
                "the objects' metadata what it stored"
            )

    def _fetch(self, query: str, values: SqlValues) -> Rows:
        while True:
            with translated(self._path):
                try:
                    rows = self._opened().execute(query, values).fetchall()
                except sqlite3.Error:
                    if not self._changed():
                        raise
                else:
                    if not self._changed():
                        return rows
            self._close()  # a writer changed the file meanwhile: the rows may be of two versions
            self._open()

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise JournalError(f"the journal {self._path} is not open")
        return self._connection

    def _changed(self) -> bool:
        return self._stat is not None and self._stat != file_stat(self._path)


def _transact(connection: sqlite3.Connection, statements: list[Statement]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for name, same in groupby(statements, itemgetter(0)):
            connection.executemany(queries()[name], [values for _, values in same])
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _result_of(call: Callable[[], Rows]) -> Rows | Exception:
    """The result of the call, or the error that it raises."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - raised again in the caller
        return error
