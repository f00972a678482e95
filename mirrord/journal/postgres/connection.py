"""One connection to PostgreSQL for the journal: opened when it is needed, dropped when it is lost.

Owns how a session is set up (text as bytes, time limits) and the deadline of each piece of work.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import lru_cache
from typing import Any, ClassVar, TypeVar

import psycopg
from psycopg import AsyncConnection
from psycopg.adapt import Loader
from psycopg.pq import Format
from psycopg.types.numeric import Int8BinaryDumper

from mirrord.errors import JournalError
from mirrord.journal.postgres.address import ServerAddress
from mirrord.journal.postgres.failures import translated
from mirrord.journal.sql.rows import decode

STATEMENT_TIMEOUT = 30
"""Seconds, in the server."""
LOCK_TIMEOUT = 10
DEADLINE = 45.0
"""Seconds for one piece of work here, for a network that loses all packets."""

T = TypeVar("T")

logging.getLogger("psycopg").setLevel(logging.ERROR)  # its warnings repeat the errors that calls raise


class FreeText(Loader):
    """bytea as the text that mirrord wrote: see `sql.rows`."""

    format = Format.BINARY

    def load(self, data: Any) -> str:
        return decode(bytes(data))


class NamedRow(tuple[Any, ...]):
    """A row: its values by the name of the column, or in order."""

    places: ClassVar[dict[str, int]]

    def __getitem__(self, key: Any) -> Any:
        return tuple.__getitem__(self, self.places[key] if type(key) is str else key)

    def keys(self) -> list[str]:
        return list(self.places)


@lru_cache(maxsize=256)
def _row_type(*names: str) -> type[NamedRow]:
    return type("Row", (NamedRow,), {"places": {name: place for place, name in enumerate(names)}, "__slots__": ()})


def named_rows(cursor: Any) -> Callable[[Any], NamedRow]:
    """The row factory of psycopg."""
    return _row_type(*(column.name for column in cursor.description or ()))


class Session:
    """At most one open connection. Its calls raise JournalError and its children; after a failure of the connection the
    next call opens another one. One call at a time."""

    def __init__(self, address: ServerAddress, deadline: float = DEADLINE) -> None:
        self._address = address
        self._deadline = deadline
        self._connection: AsyncConnection[NamedRow] | None = None

    async def run(self, work: Callable[[AsyncConnection[NamedRow]], Awaitable[T]]) -> T:
        """The result of the work with the connection. If the connection fails meanwhile, it is unknown whether a commit
        took place."""
        with translated(self._address.shown):
            try:
                async with asyncio.timeout(self._deadline):
                    return await work(await self._opened())
            except BaseException as error:
                if not isinstance(error, psycopg.Error | JournalError) or self._is_broken():
                    await self.close()
                raise

    @property
    def is_open(self) -> bool:
        return self._connection is not None

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error, OSError):
                await connection.close()

    def _is_broken(self) -> bool:
        connection = self._connection
        return connection is not None and (connection.closed or connection.broken)

    async def _opened(self) -> AsyncConnection[NamedRow]:
        if self._connection is None or self._is_broken():
            await self.close()
            self._connection = await connect(self._address)
        return self._connection


async def connect(address: ServerAddress) -> AsyncConnection[NamedRow]:
    """A new connection, set up for the journal. Raises psycopg's errors."""
    connection = await AsyncConnection.connect(
        autocommit=True,
        prepare_threshold=5 if address.prepares else None,
        row_factory=named_rows,
        **{**address.parameters, "client_encoding": "UTF8"},
    )
    connection.adapters.register_loader("bytea", FreeText)
    connection.adapters.register_dumper(int, Int8BinaryDumper)
    if address.prepares:  # not behind PgBouncer in transaction mode: the setting would be another client's
        await connection.execute(
            f"SET statement_timeout = '{STATEMENT_TIMEOUT}s'; SET lock_timeout = '{LOCK_TIMEOUT}s';"
            f"SET idle_in_transaction_session_timeout = '{LOCK_TIMEOUT}s'".encode()
        )
    return connection
