"""Connections to PostgreSQL that lose answers: what was committed, what a caller learns, what can be repeated."""

import socket
from collections.abc import Awaitable, Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any, Self

import pytest

from mirrord.errors import JournalUnavailable
from mirrord.journal.postgres import PostgresJournal
from mirrord.journal.postgres.address import address_of
from mirrord.journal.postgres.connection import Session
from mirrord.model import Holder, LearnedFact, Notice, Secret
from mirrord.ports import Journal
from tests.support.journals import FULL, every, part, record, transfer
from tests.support.postgres import LeasedJournal, PostgresServer

SOCKET = ".s.PGSQL.5432"
IDLE = b"Z\x00\x00\x00\x05I"
"""ReadyForQuery, outside of a transaction."""


class Relay:
    """Passes the bytes of connections on to the server. `loses`: a text; the answers to the request with it, up to the
    end of its transaction, are dropped, and the connection is closed. `silent`: nothing is passed on."""

    def __init__(self, directory: Path, server: PostgresServer) -> None:
        self.loses: bytes | None = None
        self.silent = False
        self._server = server
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(directory / SOCKET))
        self._sockets = [self._listener]
        self._threads: list[Thread] = []

    def __enter__(self) -> Self:
        self._listener.listen()
        self._run(self._accept)
        return self

    def __exit__(self, *exc: object) -> None:
        for one in self._sockets:
            _shut(one)
        for thread in self._threads:
            thread.join()
        for one in self._sockets:
            one.close()

    def _run(self, work: Callable[..., None], *given: object) -> None:
        thread = Thread(target=work, args=given)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self._server.directory / SOCKET))
                self._sockets += [client, server]
                lost = Event()
                self._run(self._requests, client, server, lost)
                self._run(self._answers, server, client, lost)

    def _requests(self, client: socket.socket, server: socket.socket, lost: Event) -> None:
        with suppress(OSError):
            while data := client.recv(65_536):
                if self.loses is not None and self.loses in data:
                    lost.set()
                    self.loses = None
                if not self.silent:
                    server.sendall(data)
        _shut(server)

    def _answers(self, server: socket.socket, client: socket.socket, lost: Event) -> None:
        with suppress(OSError):
            while data := server.recv(65_536):
                if not lost.is_set():
                    client.sendall(data)
                elif data.endswith(IDLE):
                    break
        _shut(client)


def _shut(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)


WRITES: dict[str, Callable[[Journal], Awaitable[None]]] = {
    "save": lambda journal: journal.save(record("k", message="new")),
    "save_all": lambda journal: journal.save_all([record("k"), record("l")]),
    "retire": lambda journal: journal.retire([record("k").item_id], 9.0),
    "hold": lambda journal: journal.hold({Holder(file="/m.yaml", entry="e", most=0.5): [FULL.item_id]}),
    "rename": lambda journal: journal.rename("other", [FULL.item_id]),
    "release": lambda journal: journal.release([FULL.item_id]),
    "opened": lambda journal: journal.opened("t-1", "u"),
    "part_done": lambda journal: journal.part_done("t-1", part(1)),
    "completing": lambda journal: journal.completing("t-1", None, 5.0),
    "finish": lambda journal: journal.finish("t-1", record("k", transfer_id="t-1")),
    "abandon": lambda journal: journal.abandon("t-1"),
    "give_up": lambda journal: journal.give_up("t-1", 7.0),
    "learn": lambda journal: journal.learn(LearnedFact(endpoint="http://s", name="acl", server="s", text="", when=9.0)),
    "save_folder_root": lambda journal: journal.save_folder_root("e", "/in", (1, 2)),
    "send_to": lambda journal: journal.outbox.send_to({"r": list(Notice)}),
}

OF_RUNNING_TRANSFERS = ("opened", "part_done", "completing")


async def content(journal: Journal) -> list[object]:
    """All that the writes above change."""
    return [
        await every(journal.records()),
        [await every(stream) for stream in (journal.unfinished(), journal.given_up(), journal.held())],
        await journal.parts("t-1"),
        await journal.learned(0.0),
        await journal.folder_root("e", "/in"),
        await journal.outbox.counts(),
        await journal.history(record("k").item_id),
    ]


@pytest.mark.parametrize("name", WRITES)
async def test_a_write_whose_answer_was_lost_can_be_repeated(
    name: str, tmp_path: Path, postgres: PostgresServer, postgres_uri: str
) -> None:
    """It may be committed: its caller gets JournalUnavailable, and repeats it. Writes of a running transfer repeat
    themselves."""
    with Relay(tmp_path, postgres) as relay:
        uri = postgres_uri.replace(str(postgres.directory), str(tmp_path))
        async with LeasedJournal(uri) as journal, PostgresJournal(address_of(Secret(postgres_uri))) as reader:
            await journal.save_all([FULL, record("k")])
            await journal.begin(transfer(1))
            await journal.hold({Holder(file="/m.yaml", entry="e", most=None): [FULL.item_id]})
            before = await content(reader)
            relay.loses = b"COMMIT"
            with nullcontext() if name in OF_RUNNING_TRANSFERS else pytest.raises(JournalUnavailable):
                await WRITES[name](journal)
            assert relay.loses is None
            committed = await content(reader)
            assert committed != before, "only the answer was lost"
            await WRITES[name](journal)
            assert await content(reader) == committed


async def test_a_server_that_does_not_answer_is_given_up(
    tmp_path: Path, postgres: PostgresServer, postgres_uri: str
) -> None:
    with Relay(tmp_path, postgres) as relay:
        session = Session(address_of(Secret(postgres_uri.replace(str(postgres.directory), str(tmp_path)))), 0.3)

        async def ask(connection: Any) -> None:
            await connection.execute("SELECT 1")

        await session.run(ask)
        relay.silent = True
        with pytest.raises(JournalUnavailable, match="did not answer in time"):
            await session.run(ask)
        relay.silent = False
        await session.run(ask)
        await session.close()
