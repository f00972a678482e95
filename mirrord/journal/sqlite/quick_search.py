"""What a shell offers while a user types: keys and entries of items in force, quickly rather than completely.

Reads the file beside a running daemon, writes nothing and never waits. A journal that cannot be read has nothing.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from time import monotonic

from mirrord.journal.sql.rows import decode, encode

_AFTER_ALL = "\U0010ffff"
_STEPS = 5_000  # of SQLite's machine between two looks at the clock: about 0.1 ms


def keys_beginning(path: Path, prefix: str, most: int, seconds: float) -> list[str]:
    """At most `most` addresses `bucket/key` whose key begins with `prefix`: those found within so many seconds."""
    query = (
        "SELECT bucket || '/' || key FROM items "
        "WHERE removed IS NULL AND key >= CAST(? AS TEXT) AND key < CAST(? AS TEXT) LIMIT ?"
    )
    values = encode(prefix), encode(prefix + _AFTER_ALL), most
    return _read(path, seconds, lambda connection: (row[0] for row in connection.execute(query, values)))


def entries_beginning(path: Path, prefix: str, most: int, seconds: float) -> list[str]:
    """As `keys_beginning`, of the names of entries. One step in the index for each name."""
    query = "SELECT min(entry) FROM items INDEXED BY items_by_entry WHERE removed IS NULL AND entry >= CAST(? AS TEXT)"

    def names(connection: sqlite3.Connection) -> Iterator[str]:
        after = prefix
        for _ in range(most):
            name = connection.execute(query, (encode(after),)).fetchone()[0]
            if name is None or not name.startswith(prefix):
                return
            yield name
            after = f"{name}\0"

    return _read(path, seconds, names)


def _read(path: Path, seconds: float, find: Callable[[sqlite3.Connection], Iterator[str]]) -> list[str]:
    end, found = monotonic() + seconds, list[str]()
    # Without a -wal file SQLite would create one: see `connection`.
    mode = "mode=ro" if os.path.exists(f"{path}-wal") else "mode=ro&immutable=1"
    with suppress(sqlite3.Error), closing(_opened(f"{path.absolute().as_uri()}?{mode}")) as connection:
        connection.set_progress_handler(lambda: monotonic() > end, _STEPS)
        for text in find(connection):
            found.append(text)
    return found


def _opened(address: str) -> sqlite3.Connection:
    connection = sqlite3.connect(address, uri=True, timeout=0.0)
    connection.text_factory = decode
    return connection
