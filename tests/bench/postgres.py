"""A PostgreSQL of the bench, and the CPU that it takes. It is durable and vacuums, unlike that of the tests."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.postgres import PostgresServer

SETTINGS = {"listen_addresses": ""}


@contextmanager
def postgres() -> Iterator[PostgresServer]:
    with tempfile.TemporaryDirectory(prefix="mirrord-bench-pg-", ignore_cleanup_errors=True) as directory:
        server = PostgresServer(Path(directory), SETTINGS)
        server.create()
        server.start()
        try:
            yield server
        finally:
            server.stop()


def cpu(server: PostgresServer) -> float:
    """CPU seconds of all its processes so far; those that ended are in the times of their parent."""
    while True:
        children = _children(server.pid)
        with suppress(FileNotFoundError, ProcessLookupError):
            total = sum(_seconds(child, 2) for child in children) + _seconds(str(server.pid), 4)
            if _children(server.pid) == children:  # else one may be in both sums, or in neither
                return total


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def _seconds(process: str, count: int) -> float:
    """The first of utime, stime, cutime, cstime of proc_pid_stat(5): the last two are those of ended children."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11 : 11 + count]
    return sum(map(int, fields)) / os.sysconf("SC_CLK_TCK")
