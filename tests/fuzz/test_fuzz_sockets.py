"""Hostile servers on real sockets, for sources, lists, stores, receivers of webhooks, and proxies: each request ends
with a result, or with an error that says why, in bounded time and memory; no result is of two answers.

An input is the script of an answer (`tests.support.hostile`): floods of interim answers, endless heads, chunks,
trailers and bodies, bombs of gzip and deflate, drips, lengths that are untrue, smuggled answers, and redirects to
itself.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from mirrord.declared import Credentials, ListSpec, StoreOptions
from mirrord.engine.clock import SystemClock
from mirrord.errors import MirrordError
from mirrord.model import ConnectionOptions, Destination, HttpOptions, ObjectOptions, Secret
from mirrord.notify.client import WebhookClient
from mirrord.ports import ByteStream
from mirrord.proxies import NO_PROXIES
from mirrord.s3.session import S3Store
from mirrord.sources.http import HttpSources, checksum_list
from mirrord.sources.list import lines
from mirrord.sources.list.reader import read_list
from mirrord.units import KiB, MiB
from tests.support.fuzzing import PeakMemory, corpus, explained, fuzz, mutated
from tests.support.hostile import HostileServer, hostile, marks
from tests.support.reading import item_of

WITHIN = 0.25
"""Seconds: each limit of mirrord on time."""
LONGEST = 20.0
"""Seconds for one input. Some take several of mirrord's limits one after the other."""
MOST_READ = 64 * KiB
MOST_LIST = 128 * KiB
MOST_MEMORY = 64 * MiB
"""By which the process may grow for one input, two thirds of what an endless one sends."""
AT = Destination("s", "", "data", "a/key")
FAR = "https://far.invalid"
KEYS = Credentials.of("AKIA", "a-secret")
KEPT = corpus("sockets")

Request = Callable[[], Awaitable[bytes]]
"""One request to the server; what it read."""


def http_options(proxy: str | None = None) -> HttpOptions:
    connection = ConnectionOptions(proxy=Secret(proxy or "none"))
    return HttpOptions(idle_timeout=WITHIN, min_rate=KiB, max_redirects=3, connection=connection)


async def start_of(stream: ByteStream) -> bytes:
    view, content = memoryview(bytearray(16 * KiB)), b""
    while len(content) < MOST_READ and (count := await stream.readinto(view)):
        content += view[:count]
    return content


@asynccontextmanager
async def source_of(url: str, proxy: str | None = None) -> AsyncIterator[Request]:
    item = item_of(url, **{name: getattr(http_options(proxy), name) for name in HttpOptions.__slots__})
    async with HttpSources(connect_timeout=WITHIN, proxies=NO_PROXIES) as sources:

        async def request() -> bytes:
            async with sources.source(item) as source:
                observed = await source.probe()
                assert observed is not None
                async with source.open(observed) as stream:
                    content = await start_of(stream)
            etag = marks((observed.revision.etag or "").encode())
            assert len(etag | marks(content)) <= 1 or not etag, "the bytes are of the answer with this ETag"
            return content

        yield request


@asynccontextmanager
async def source(server: HostileServer) -> AsyncIterator[Request]:
    async with source_of(f"{server.url}/it") as request:
        yield request


@asynccontextmanager
async def source_by_proxy(server: HostileServer) -> AsyncIterator[Request]:
    async with source_of(f"{FAR}/it", server.url) as request:
        yield request


@asynccontextmanager
async def items(server: HostileServer) -> AsyncIterator[Request]:
    """A list of sources."""
    spec = ListSpec(entry="e", location=f"{server.url}/l.txt", to="s3://bucket/", store="s", endpoint="http://s")
    async with HttpSources(connect_timeout=WITHIN, proxies=NO_PROXIES) as sources:

        async def request() -> bytes:
            of_list = sources.list_source(spec.location, http_options())
            found: list[str] = []
            reading = await read_list(spec, of_list, lambda item, row, line: found.append(item.destination.key))
            assert reading is not None
            for fault in reading.faults:
                fault.encode()
            return "\n".join(found).encode()

        yield request


@asynccontextmanager
async def digests(server: HostileServer) -> AsyncIterator[Request]:
    """A list of checksums."""
    async with HttpSources(connect_timeout=WITHIN, proxies=NO_PROXIES) as sources:

        async def request() -> bytes:
            of_list = sources.list_source(f"{server.url}/SHA256SUMS", http_options())
            return (await checksum_list.listed_sha256(of_list, server.url, item_of(f"{server.url}/it"))).encode()

        yield request


@asynccontextmanager
async def store_at(options: StoreOptions) -> AsyncIterator[Request]:
    """Its calls in turn."""
    async with S3Store(options, deadline=WITHIN) as store:

        async def listed() -> bytes:
            return repr([page async for page in store.list_objects("data", "")]).encode()

        async def got() -> bytes:
            async with store.get_object(AT) as stream:
                return await start_of(stream)

        async def put() -> bytes:
            return repr(await store.put_object(AT, memoryview(b"some bytes"), ObjectOptions())).encode()

        async def head() -> bytes:
            return repr(await store.head_object(AT)).encode()

        calls, number = (put, got, listed, head), 0

        async def request() -> bytes:
            nonlocal number
            number += 1
            content = await calls[number % len(calls)]()
            return b"" if calls[number % len(calls)] is listed else content  # its pages are of several answers

        yield request


@asynccontextmanager
async def store(server: HostileServer) -> AsyncIterator[Request]:
    options = StoreOptions(name="s", endpoint_url=server.url, region="r", credentials=KEYS)
    async with store_at(options) as request:
        yield request


@asynccontextmanager
async def store_by_proxy(server: HostileServer) -> AsyncIterator[Request]:
    connection = ConnectionOptions(proxy=Secret(server.url))
    options = StoreOptions(name="s", endpoint_url=FAR, region="r", credentials=KEYS, connection=connection)
    async with store_at(options) as request:
        yield request


@asynccontextmanager
async def webhook_at(url: str) -> AsyncIterator[Request]:
    async with WebhookClient(SystemClock(), deadline=WITHIN) as client:

        async def request() -> bytes:
            reply = await client.post(url, {"X-A": "b"}, b"{}")
            assert reply.status or reply.problem
            reply.problem.encode()
            return b""

        yield request


@asynccontextmanager
async def webhook(server: HostileServer) -> AsyncIterator[Request]:
    async with webhook_at(f"{server.url}/hook") as request:
        yield request


@asynccontextmanager
async def webhook_by_proxy(server: HostileServer) -> AsyncIterator[Request]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("HTTPS_PROXY", server.url)
        async with webhook_at(f"{FAR}/hook") as request:
            yield request


TARGETS = (source, source_by_proxy, items, digests, store, store_by_proxy, webhook, webhook_by_proxy)


@pytest.fixture(autouse=True)
def small_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LARGEST", MOST_LIST)
    monkeypatch.setattr(checksum_list, "LARGEST", MOST_LIST)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.__name__)
def test_hostile_servers(target: Callable[[HostileServer], "AsyncExitStack"]) -> None:
    with asyncio.Runner() as runner:
        life = AsyncExitStack()

        async def opened() -> tuple[HostileServer, Request]:
            server = await life.enter_async_context(hostile())
            return server, await life.enter_async_context(target(server))

        server, request = runner.run(opened())

        async def one(script: bytes) -> None:
            server.script = script
            with PeakMemory() as memory:
                try:
                    async with asyncio.timeout(LONGEST):
                        assert len(marks(await request())) <= 1, "the result is of two answers"
                except MirrordError as error:
                    explained(error)
            assert memory.growth < MOST_MEMORY, f"it took {memory.growth} bytes of memory"

        try:
            fuzz(
                mutated(KEPT),
                lambda script: runner.run(one(script)),
                examples=10,
                kept=KEPT,
                target="sockets",
                shared_by=len(TARGETS),
            )
        finally:
            runner.run(life.aclose())
