"""Groups the calls of a database: those that arrive while it works are its next group, with one way there and back.

Owns the order of calls and their answers. How a group is served is the database's: it commits the writes together,
then makes the reads, each with its own result.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from mirrord.journal.sql.database import Rows, Statement

MOST_IN_GROUP = 256
"""Writes, and reads, of one group: it then takes SQLite's thread some 20 ms."""

_TURNS = 10
"""Turns of the event loop between two groups: callers that go on, and those that a socket wakes, join the next one. The
writes of small URLs are then 14 in a group, not 7, and each takes 34 us of CPU, not 47 (SQLite)."""


class Write(NamedTuple):
    statements: tuple[Statement, ...]
    answer: asyncio.Future[Rows]


class Read(NamedTuple):
    query: Statement
    answer: asyncio.Future[Rows]


Serve = Callable[[list[Write], list[Read]], Awaitable[Sequence[Rows | Exception]]]
"""Serves one group. Returns the result or the error of each write, then of each read."""


class Groups:
    """Calls that wait for the next group. Cancelling a caller undoes nothing."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self._writes: list[Write] = []
        self._reads: list[Read] = []
        self._working: asyncio.Task[None] | None = None

    def read(self, query: Statement) -> asyncio.Future[Rows]:
        read = Read(query, self._answer())
        self._reads.append(read)
        return read.answer

    def write(self, statements: tuple[Statement, ...]) -> asyncio.Future[Rows]:
        write = Write(statements, self._answer())
        self._writes.append(write)
        return write.answer

    async def end(self) -> None:
        """Wait until every call has its answer."""
        if self._working is not None:
            await asyncio.wait([self._working])

    def _answer(self) -> asyncio.Future[Rows]:
        """The answer to a call that the caller adds to the next group."""
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._work_in_groups())
        return asyncio.get_running_loop().create_future()

    async def _work_in_groups(self) -> None:
        while self._writes or self._reads:
            writes, self._writes = self._writes[:MOST_IN_GROUP], self._writes[MOST_IN_GROUP:]
            reads, self._reads = self._reads[:MOST_IN_GROUP], self._reads[MOST_IN_GROUP:]
            (done,) = await asyncio.gather(self._serve(writes, reads), return_exceptions=True)
            results = [done] * (len(writes) + len(reads)) if isinstance(done, BaseException) else done
            answers = [*(write.answer for write in writes), *(read.answer for read in reads)]
            for answer, result in zip(answers, results, strict=True):
                _resolve(answer, result)
            for _ in range(_TURNS):
                await asyncio.sleep(0)


def _resolve(answer: asyncio.Future[Rows], result: Rows | BaseException) -> None:
    if answer.done():  # its caller was cancelled
        return
    if isinstance(result, BaseException):
        answer.set_exception(result)
    else:
        answer.set_result(result)
