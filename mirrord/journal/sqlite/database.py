"""One SQLite connection on a thread of its own, with awaitable reads and grouped commits.

Owns the thread and the order of work on it. Calls are grouped, hardly delayed: all calls that arrive while the thread
works, and in a few turns of the event loop after it, are its next group, with one hop to the thread and back. In a
group the writes share one commit and its cost, then come the reads, each on its own. A write returns only when its own
statements are committed. If a commit fails, every write of the group fails and none is committed.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple, Self, TypeVar

from mirrord.aio import finish
from mirrord.errors import JournalError, JournalUnavailable
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
from mirrord.journal.sqlite.rows import SqlValues
from mirrord.journal.sqlite.schema import queries

T = TypeVar("T")

MOST_IN_GROUP = 256
"""Writes, and reads, of one group: it then takes the thread some 20 ms."""

_TURNS = 10
"""Turns of the event loop between two groups: callers that go on, and those that a socket wakes, join the next one. The
writes of small URLs are then 14 in a group, not 7, and each takes 34 us of CPU, not 47."""


class Statement(NamedTuple):
    name: str  # in queries.sql
    values: SqlValues


Rows = list[sqlite3.Row]
"""The result of a read; of a write: none."""


class _Write(NamedTuple):
    statements: tuple[Statement, ...]
    answer: asyncio.Future[Rows]


class _Read(NamedTuple):
    query: Statement
    answer: asyncio.Future[Rows]


class Database:
    """A file with the journal's schema, open inside `async with`.

    All calls raise JournalError and its children. Cancelling a caller undoes nothing: its write may still be committed.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._path = path
        self._read_only = read_only
        self._thread: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None
        self._stat: FileStat | None = None  # of a file that was opened as immutable
        self._file: tuple[int, int] | None = None  # identity of the file that is open to write
        self._writes: list[_Write] = []  # that wait for the next group
        self._reads: list[_Read] = []
        self._working: asyncio.Task[None] | None = None

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
        """All rows of one query of queries.sql, which must bound their number."""
        read = _Read(Statement(name, values), self._answer())
        self._reads.append(read)
        return await read.answer

    async def write(self, *statements: Statement) -> None:
        """Commit the statements together, or none of them."""
        if self._thread is None or self._read_only:
            raise JournalError(f"the journal {self._path} is not open for writing")
        if not statements:
            return
        write = _Write(statements, self._answer())
        self._writes.append(write)
        await write.answer

    async def last_written(self) -> float | None:
        """When any process last wrote to the file or its -wal file; None if there is no file.

        Raises JournalUnavailable if the file that is open to write was removed or replaced.
        """
        return await self._run(self._last_written)

    def _answer(self) -> asyncio.Future[Rows]:
        """The answer to a call that the caller adds to the next group."""
        if self._thread is None:
            raise JournalError(f"the journal {self._path} is not open")
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._work_in_groups())
        return asyncio.get_running_loop().create_future()

    async def _work_in_groups(self) -> None:
        while self._writes or self._reads:
            writes, self._writes = self._writes[:MOST_IN_GROUP], self._writes[MOST_IN_GROUP:]
            reads, self._reads = self._reads[:MOST_IN_GROUP], self._reads[MOST_IN_GROUP:]
            (done,) = await asyncio.gather(self._run(partial(self._serve, writes, reads)), return_exceptions=True)
            results = [done] * (len(writes) + len(reads)) if isinstance(done, BaseException) else done
            answers = [*(write.answer for write in writes), *(read.answer for read in reads)]
            for answer, result in zip(answers, results, strict=True):
                _resolve(answer, result)
            for _ in range(_TURNS):
                await asyncio.sleep(0)

    async def _run(self, work: Callable[[], T]) -> T:
        if self._thread is None:
            raise JournalError(f"the journal {self._path} is not open")
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _shut_down(self) -> None:
        if self._working is not None:
            await asyncio.wait([self._working])
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

    def _serve(self, writes: list[_Write], reads: list[_Read]) -> list[Rows | Exception]:
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


def _resolve(answer: asyncio.Future[Rows], result: Rows | BaseException) -> None:
    if answer.done():  # its caller was cancelled
        return
    if isinstance(result, BaseException):
        answer.set_exception(result)
    else:
        answer.set_result(result)
