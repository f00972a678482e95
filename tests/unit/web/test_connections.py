"""The limits of the server's connections: their number, and their time without a request."""

import asyncio

import pytest

from mirrord.web.connections import MOST, Connections, connections_of

LONG, SHORT = 60.0, 0.01


class Inner(asyncio.Protocol):
    """aiohttp's protocol, as far as it counts here."""

    def __init__(self) -> None:
        self.received = b""
        self.lost = False

    def data_received(self, data: bytes) -> None:
        self.received += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True


class Transport(asyncio.Transport):
    def __init__(self, unread: int = 0) -> None:
        super().__init__()
        self._unread = unread
        self.ended = asyncio.Event()
        self.how = ""

    def get_write_buffer_size(self) -> int:
        return self._unread

    def close(self) -> None:
        self.how = "closed"
        self.ended.set()

    def abort(self) -> None:
        self.how = "aborted"
        self.ended.set()


def connect(connections: Connections, unread: int = 0) -> tuple[asyncio.Protocol, Transport]:
    connection, transport = connections(), Transport(unread)
    connection.connection_made(transport)
    return connection, transport


async def ended(transport: Transport) -> str:
    async with asyncio.timeout(30):
        await transport.ended.wait()
    return transport.how


async def test_a_missing_head_ends_the_connection() -> None:
    connections = Connections(Inner, head_within=SHORT, idle_within=LONG)
    connection, transport = connect(connections)
    connection.data_received(b"GET / HT")  # a first byte wins no time
    assert await ended(transport) == "closed"
    assert len(connections) == 0


async def test_a_request_has_no_deadline_and_an_idle_connection_has_one() -> None:
    inners: list[Inner] = []
    connections = Connections(lambda: inners.append(Inner()) or inners[-1], head_within=SHORT, idle_within=SHORT)
    connection, transport = connect(connections)
    with connections.at_work(inners[0]), pytest.raises(TimeoutError):
        async with asyncio.timeout(SHORT * 5):
            await transport.ended.wait()
    assert await ended(transport) == "closed"
    connection.connection_lost(None)
    assert inners[0].lost


async def test_the_head_of_a_later_request_has_its_own_deadline() -> None:
    inner = Inner()
    connections = Connections(lambda: inner, head_within=SHORT, idle_within=LONG)
    connection, transport = connect(connections)
    with connections.at_work(inner):
        pass
    connection.data_received(b"G")
    assert await ended(transport) == "closed"
    assert inner.received == b"G"


async def test_a_reader_that_reads_nothing_is_disconnected() -> None:
    _, transport = connect(Connections(Inner, head_within=SHORT), unread=1)
    assert await ended(transport) == "aborted"


async def test_with_too_many_connections_the_longest_idle_one_is_closed() -> None:
    inners: list[Inner] = []
    connections = Connections(lambda: inners.append(Inner()) or inners[-1], most=3, head_within=LONG)
    transports = [connect(connections)[1] for _ in range(3)]
    with connections.at_work(inners[0]):
        transports.append(connect(connections)[1])
        assert [one.how for one in transports] == ["", "closed", "", ""]
        with connections.at_work(inners[2]), connections.at_work(inners[3]):
            transports.append(connect(connections)[1])
            assert [one.how for one in transports] == ["", "closed", "", "", "closed"], "all at work: the new one"
    transports.append(connect(connections)[1])
    assert [one.how for one in transports] == ["", "closed", "", "closed", "closed", ""], "at rest the longest"
    assert len(connections) == 3


@pytest.mark.parametrize(("descriptors", "most"), [(2**31, MOST), (1024, MOST), (1000, 250), (256, 64), (3, 1)])
def test_most_descriptors_are_left_to_transfers(descriptors: int, most: int) -> None:
    assert connections_of(descriptors) == most
