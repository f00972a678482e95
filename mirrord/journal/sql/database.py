"""What a SQL database must do for the journal: named statements, read one by one and written together."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, Self, TypeAlias

SqlValue: TypeAlias = str | bytes | int | float | list[str] | None
SqlRow: TypeAlias = tuple[SqlValue, ...]
"""Values in the order of a statement's parameters. For what is written of each object: by name they take 7 us more."""
SqlValues: TypeAlias = Mapping[str, SqlValue] | SqlRow
"""Values by the name of a column or parameter, or in order."""


class Statement(NamedTuple):
    name: str  # in queries.sql
    values: SqlValues


class Row(Protocol):
    """A row of a result: its values by the name of the column, or in order. Text is `str`, also if it is not valid
    Unicode: see `rows`."""

    def __getitem__(self, key: int | str, /) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...
    def keys(self) -> list[str]:
        """The names of the columns."""


Rows: TypeAlias = Sequence[Row]
"""The result of a read; of a write: none."""


class Database(Protocol):
    """A database with the journal's schema, open inside `async with`.

    All calls raise JournalError and its children. Cancelling a caller undoes nothing: its write may still be committed.
    A read that begins after a write returned sees it.
    """

    @property
    def worker(self) -> str:
        """The worker whose transfers this process begins; empty if it is the only one that there can be."""

    async def __aenter__(self) -> Self: ...
    async def __aexit__(self, *exc: object) -> None: ...

    async def read(self, name: str, values: SqlValues) -> Rows:
        """All rows of one query of queries.sql, which must bound their number."""

    async def write(self, *statements: Statement) -> None:
        """Commit the statements together, or none of them."""

    async def last_written(self) -> float | None:
        """When any process last wrote (seconds since the epoch); None: never."""

    def many(self, texts: Collection[str]) -> SqlValue:
        """The value of a parameter that is a list of texts, in order."""
