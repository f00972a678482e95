"""The listening server: its address, and clear errors for an address that it cannot use."""

import asyncio
import socket

import aiohttp
import pytest

from mirrord.errors import ListenFailed
from mirrord.web.access import Access
from mirrord.web.application import application
from mirrord.web.server import Server
from tests.support.scripted_control import ScriptedControl, no_metrics


def server(listen: str) -> Server:
    return Server(listen, application(ScriptedControl(), no_metrics, Access(None)))


async def alive(url: str) -> bool:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/livez") as answer:
        return answer.status == 200


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as one:
            one.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "localhost:0", "0.0.0.0:0"])
async def test_port_0_is_any_free_one_and_the_url_reaches_it(listen: str) -> None:
    async with server(listen) as running:
        assert running.url.startswith(("http://127.0.0.1:", "http://[::1]:"))
        assert not running.url.endswith(":0")
        assert await alive(running.url)


@pytest.mark.parametrize("listen", ["[::1]:0", "[::]:0"])
async def test_ipv6(listen: str) -> None:
    if not has_ipv6():
        with pytest.raises(ListenFailed, match="cannot listen on"):
            async with server(listen):
                pass
        return
    async with server(listen) as running:
        assert running.url.startswith("http://[::1]:")
        assert await alive(running.url)


async def test_a_taken_port_is_named_with_a_way_out() -> None:
    async with server("127.0.0.1:0") as running:
        listen = running.url.removeprefix("http://")
        with pytest.raises(ListenFailed, match=rf"cannot listen on {listen}: another program listens there; choose"):
            async with server(listen):
                pass
        assert await alive(running.url)


async def test_an_address_of_another_machine() -> None:
    with pytest.raises(ListenFailed, match="does not have that address"):
        async with server("192.0.2.1:0"):
            pass


async def test_after_its_end_the_port_is_free_at_once() -> None:
    async with server("127.0.0.1:0") as running:
        listen = running.url.removeprefix("http://")
        assert await alive(running.url)
    async with server(listen) as again:
        assert await alive(again.url)


@pytest.mark.parametrize(
    "request_head",
    [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00",
    ],
)
async def test_a_malformed_request_is_answered_and_not_logged(
    request_head: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING")
    async with server("127.0.0.1:0") as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(running.url.rpartition(":")[2]))
        writer.write(request_head.encode("latin-1"))
        assert b" 400 " in await reader.readline()
        writer.close()
    assert not caplog.records
