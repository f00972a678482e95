"""Connections that an HTTP source keeps: what follows if the origin closes one; and what a redirect's URL may hold."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import pytest

from mirrord.errors import SourceRefused, SourceUnavailable
from mirrord.model import Observed
from mirrord.sources.http import HttpSources
from tests.support.reading import item_of

BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"
Answer = Callable[[int, bytes], bytes | None]
"""(number of the request on its connection, from 0; its head) -> the response; None: the connection is closed."""
NO_HEADERS: Mapping[str, str] = {}


@asynccontextmanager
async def origin(answer: Answer) -> AsyncIterator[tuple[str, list[bytes]]]:
    """The URL of an origin, and the heads of the requests that it received."""
    heads = list[bytes]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = 0
        while (head := await reader.readuntil(b"\r\n\r\n") if not reader.at_eof() else None) is not None:
            heads.append(head)
            response = answer(number, head)
            if response is None:
                break
            writer.write(response)
            number += 1
        writer.close()

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            writer.close()

    async with await asyncio.start_server(served, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x", heads


async def asked(sources: HttpSources, url: str, headers: Mapping[str, str] = NO_HEADERS) -> Observed | None:
    async with sources.source(item_of(url, headers=headers)) as source:
        observed = await source.probe()
        assert observed is not None
        async with source.open(observed) as stream:
            view = memoryview(bytearray(5))
            assert await stream.readinto(view) == 4
            assert await stream.readinto(view) == 0
        return observed


async def test_a_request_that_met_a_closing_connection_is_sent_again() -> None:
    """The origin closes a kept connection at the moment of the second request, which it has read."""
    async with origin(lambda number, _: None if number else BODY) as (url, heads), HttpSources() as sources:
        for _ in range(3):
            await asked(sources, url)
    assert len(heads) == 5  # the second and the third request twice


async def test_an_origin_that_closes_each_connection_is_asked_twice() -> None:
    async with origin(lambda *_: None) as (url, heads), HttpSources() as sources:
        with pytest.raises(SourceUnavailable, match="closed the connection without an answer"):
            await asked(sources, url)
    assert len(heads) == 2


async def test_the_connection_of_a_whole_body_is_kept() -> None:
    numbers = list[int]()

    def answer(number: int, _: bytes) -> bytes:
        numbers.append(number)
        return BODY

    async with origin(answer) as (url, _), HttpSources() as sources:
        for _ in range(3):
            await asked(sources, url)
    assert numbers == [0, 1, 2]


def redirect_with_credentials(places: list[str]) -> Answer:
    """/x leads to /y with a user name and a password; `places` has the URL of /x."""

    def answer(_: int, head: bytes) -> bytes:
        if not head.startswith(b"GET /x"):
            return BODY
        place = places[0].replace("//", "//me:s3cret@").replace("/x", "/y").encode()
        return b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + place + b"\r\n\r\n"

    return answer


async def test_userinfo_of_a_redirect_is_a_header() -> None:
    places = list[str]()
    async with origin(redirect_with_credentials(places)) as (url, heads), HttpSources() as sources:
        places.append(url)
        await asked(sources, url)
    assert [b"Authorization: Basic bWU6czNjcmV0" in head for head in heads] == [False, True]


async def test_a_redirect_that_sets_a_cookie_gets_it_back_and_the_next_check_begins_without() -> None:
    def answer(_: int, head: bytes) -> bytes:
        if b"pass=s3cret" in head:
            return BODY
        field = b"Set-Cookie: pass=s3cret; Path=/; HttpOnly\r\nSet-Cookie: other=1; Path=/elsewhere\r\n"
        return b"HTTP/1.1 302 Found\r\nLocation: /x?2\r\n" + field + b"Content-Length: 0\r\n\r\n"

    async with origin(answer) as (url, heads), HttpSources() as sources:
        await asked(sources, url, {"Cookie": "own=1"})
        await asked(sources, url)
    assert [b"Cookie: own=1; pass=s3cret\r\n" in head for head in heads] == [False, True, False, False]
    assert [b"s3cret" in head for head in heads] == [False, True, False, True]
    assert not any(b"other=" in head for head in heads)


async def test_a_redirect_does_not_replace_the_entrys_own_authorization() -> None:
    places = list[str]()
    async with origin(redirect_with_credentials(places)) as (url, heads), HttpSources() as sources:
        places.append(url)
        with pytest.raises(SourceRefused, match="a redirect brings a user name") as refused:
            await asked(sources, url, {"authorization": "Bearer entry"})
    assert len(heads) == 1
    assert "s3cret" not in str(refused.value)
