"""The lease of a state in PostgreSQL: which one process may write. All its times are PostgreSQL's.

Owns taking, renewing and giving back. The lease is a row, not an advisory lock, which a paused process would keep. A
process that was paused past its lease still believes that it has it; so each transaction checks owner and epoch
(`write_as`), and nothing here has to be right for that.
"""

import asyncio
import os
import socket
from contextlib import suppress
from secrets import token_hex
from typing import Any, Self

from psycopg import errors

from mirrord.aio import drain, finish
from mirrord.errors import JournalError, JournalLocked, JournalUnavailable
from mirrord.journal.postgres.address import ServerAddress
from mirrord.journal.postgres.connection import Session
from mirrord.journal.postgres.schema import check

VALID = 8.0
"""Seconds from a renewal to the end of the lease."""
EVERY = 3.0
"""Seconds between renewals."""
_AGAIN = 1.0
_DEADLINE = 5.0
"""Seconds for one renewal: if PostgreSQL does not answer, the next one tries another connection."""
_PATIENCE = 2
"""Seconds that a take-over waits for a transaction of the former owner, before it ends that session."""

_HELD = b"SELECT host, pid, until > clock_timestamp() AS held FROM lease WHERE name = 'state'"
_TAKE = b"""
UPDATE lease
SET owner = %s, epoch = epoch + 1, until = clock_timestamp() + %s * interval '1 second', host = %s, pid = %s
WHERE name = 'state' RETURNING epoch
"""
_END_FORMER = b"""
SELECT pg_terminate_backend(pid) FROM pg_locks
WHERE relation = 'lease'::regclass AND mode = 'RowShareLock' AND granted AND pid <> pg_backend_pid()
"""


class Lease:
    """Held inside `async with`. Entering raises JournalLocked, with host and pid, if another process has it; see also
    `WorkerLease`.

    `owner` and `epoch` are what `write_as` compares. `written`: when this process last wrote to the journal.
    """

    def __init__(self, address: ServerAddress) -> None:
        self._address = address
        self._session = Session(address, _DEADLINE)
        self._keeper: asyncio.Task[None] | None = None
        self._lost = asyncio.Event()
        self.owner = token_hex(8)
        self.epoch = 0
        self.written: float | None = None

    async def __aenter__(self) -> Self:
        try:
            await self._session.run(lambda connection: check(connection, self._address.shown))
            await self._take()
        except BaseException:
            await finish(self._session.close())
            raise
        self._keeper = asyncio.create_task(self._keep())
        return self

    async def __aexit__(self, *exc: object) -> None:
        await finish(self._give_back())

    async def is_held(self) -> bool:
        """Whether a process has it. The connection stays open for the next question, until `close`."""
        return bool((await self._session.run(_holder))["held"])

    async def close(self) -> None:
        """Close the connection of `is_held`."""
        await self._session.close()

    async def lost(self) -> None:
        """Return when another process has taken the lease."""
        await self._lost.wait()

    def lose(self) -> None:
        """A write was refused: another process has the lease."""
        self._lost.set()

    async def _take(self) -> None:
        await self._session.run(lambda connection: self._check_free(connection, _HELD))
        for _ in range(2):
            try:
                return await self._session.run(self._take_if_free)
            except JournalUnavailable as error:
                if not isinstance(error.__cause__, errors.LockNotAvailable):
                    raise
                await self._session.run(_end_former)
        raise JournalUnavailable(f"a transaction of the former owner of {self._address.shown} does not end")

    async def _check_free(self, connection: Any, query: bytes) -> None:
        row = await _holder(connection, query)
        if row["held"]:
            raise JournalLocked(
                f"another mirrord (pid {row['pid']} on {row['host']}) holds the state {self._address.shown}; "
                "stop it, or name another with --state"
            )

    async def _take_if_free(self, connection: Any) -> None:
        async with connection.transaction():
            await connection.execute(f"SET LOCAL lock_timeout = '{_PATIENCE}s'".encode())
            # FOR UPDATE conflicts with the FOR KEY SHARE of `write_as`; a plain update would not wait for it.
            await self._check_free(connection, _HELD + b" FOR UPDATE")
            values = (self.owner, VALID, socket.gethostname(), os.getpid())
            self.epoch = (await (await connection.execute(_TAKE, values)).fetchone())["epoch"]

    async def _keep(self) -> None:
        pause = EVERY
        while not self._lost.is_set():
            await asyncio.sleep(pause)
            pause = EVERY if await self._renewed() else _AGAIN

    async def _renewed(self) -> bool:
        """Whether the lease was renewed, or is lost. The journal's calls report that PostgreSQL is away."""
        try:
            renewed = await self._session.run(lambda connection: self._extend(connection, VALID))
        except JournalError:
            return False
        if not renewed:
            self._lost.set()
        return True

    async def _extend(self, connection: Any, seconds: float) -> bool:
        done = await connection.execute(
            b"UPDATE lease SET until = clock_timestamp() + %s * interval '1 second', written = coalesce(%s, written) "
            b"WHERE owner = %s AND epoch = %s",
            (seconds, self.written, self.owner, self.epoch),
        )
        return bool(done.rowcount)

    async def _give_back(self) -> None:
        if self._keeper is not None:
            await drain([self._keeper])
        await self._leave()
        await self._session.close()

    async def _leave(self) -> None:
        with suppress(JournalError):  # it ends by itself
            await self._session.run(lambda connection: self._extend(connection, -1.0))


async def _holder(connection: Any, query: bytes = _HELD) -> Any:
    return await (await connection.execute(query)).fetchone()


async def _end_former(connection: Any) -> None:
    await connection.execute(_END_FORMER)
