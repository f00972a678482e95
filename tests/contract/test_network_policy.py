"""The rules on addresses at each hop, over real sockets: 127.1.0.0/16 counts as public and 127.2.0.0/16 as metadata."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from mirrord.engine.clock import SystemClock
from mirrord.engine.daemon_block import daemon_settings
from mirrord.errors import SourceRefused, SourceUnavailable
from mirrord.manifest.schema.document import DaemonSection
from mirrord.model import DeclaredSum, HttpOptions, Options, SourceRequirements
from mirrord.notify.client import WebhookClient
from mirrord.settings import resolve
from mirrord.sources.http import HttpSources, addresses
from tests.support.reading import item_of

PUBLIC, METADATA = ip_network("127.1.0.0/16"), ip_network("127.2.0.0/16")
NAMES = {
    "public.test": ["127.1.0.1"],
    "private.test": ["127.0.0.1"],
    "metadata.test": ["127.2.0.1"],
    "several.test": ["127.2.0.1", "127.0.0.1"],
    "public-or-private.test": ["127.0.0.1", "127.1.0.1"],
}
REFUSED_METADATA, REFUSED_PRIVATE = "metadata", "from a public address to a private one"


@pytest.fixture(autouse=True)
def world(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """The names that resolve: another answer may be set at any time."""
    names, real = dict(NAMES), socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        return [one for found in names.get(host, [host]) for one in real(found, port, *args, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(addresses, "_FORBIDDEN", (METADATA,))
    monkeypatch.setattr(addresses, "_is_public", lambda address: ip_address(address) in PUBLIC)
    return names


@asynccontextmanager
async def redirecting(chain: Sequence[str]) -> AsyncIterator[tuple[str, list[str]]]:
    """The first URL of a chain of redirects over hosts, and the Host fields of the requests that were received."""
    hosts = list[str]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await _head(reader):
            number = int(head.split("/")[1].split(" ")[0])
            hosts.append(head.split("Host: ")[1].split("\r\n")[0].rpartition(":")[0])
            to = f"Location: {url(number + 1)}\r\n" if number + 1 < len(chain) else ""
            writer.write(f"HTTP/1.1 {302 if to else 200} X\r\n{to}Content-Length: 0\r\n\r\n".encode())
        writer.close()

    def url(number: int) -> str:
        place = chain[number]
        return place if "//" in place else f"http://{place}:{port}/{number}"

    async with await asyncio.start_server(serve, "0.0.0.0", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield url(0), hosts


async def _head(reader: asyncio.StreamReader) -> str:
    try:
        return (await reader.readuntil(b"\r\n\r\n")).decode()
    except (asyncio.IncompleteReadError, ConnectionError):
        return ""


async def probe(sources: HttpSources, url: str, **http: Any) -> None:
    async with sources.source(item_of(url, **http)) as source:
        await source.probe()


async def probe_list(sources: HttpSources, url: str) -> None:
    await sources.list_source(url, HttpOptions()).probe()


async def read_digests(sources: HttpSources, url: str) -> None:
    options = Options(requires=SourceRequirements(checksum=DeclaredSum(url=url)))
    try:
        await sources.declared(replace(item_of("http://127.0.0.1/x"), options=options))
    except SourceRefused as error:
        if not str(error).startswith("checksum: "):  # the list is empty
            raise


REQUESTS = [probe, probe_list, read_digests]


@pytest.mark.parametrize("request_of", REQUESTS)
@pytest.mark.parametrize(
    ("chain", "refused"),
    [
        (["127.0.0.1"], None),
        (["127.1.0.1"], None),
        (["127.2.0.1"], REFUSED_METADATA),
        (["metadata.test"], REFUSED_METADATA),
        (["0x7f020001"], REFUSED_METADATA),
        (["0177.2.0.1"], "malformed|metadata"),
        (["127.131073"], "malformed|metadata"),
        (["2130837505"], "malformed|metadata"),
        (["[::ffff:127.2.0.1]"], REFUSED_METADATA),
        (["127.0.0.1", "127.0.0.2"], None),
        (["127.0.0.1", "private.test"], None),
        (["127.0.0.1", "127.1.0.1"], None),
        (["127.0.0.1", "127.2.0.1"], REFUSED_METADATA),
        (["127.1.0.1", "127.1.0.2"], None),
        (["127.1.0.1", "public.test"], None),
        (["127.1.0.1", "127.0.0.1"], REFUSED_PRIVATE),
        (["public.test", "private.test"], REFUSED_PRIVATE),
        (["public.test", "0x7f000001"], REFUSED_PRIVATE),
        (["public.test", "0177.1"], f"malformed|{REFUSED_PRIVATE}"),
        (["public.test", "0.0.0.0"], REFUSED_PRIVATE),
        (["public.test", "0"], f"malformed|{REFUSED_PRIVATE}"),
        (["public.test", "[::]"], REFUSED_PRIVATE),
        (["public.test", "[::1]"], REFUSED_PRIVATE),
        (["public.test", "[::ffff:127.0.0.1]"], REFUSED_PRIVATE),
        (["public.test", "localhost"], REFUSED_PRIVATE),
        (["public.test", "metadata.test"], REFUSED_METADATA),
        (["public.test", "public.test", "private.test"], REFUSED_PRIVATE),
        (["127.0.0.1", "public.test", "private.test"], REFUSED_PRIVATE),
        (["127.0.0.1", "public.test", "127.0.0.1"], REFUSED_PRIVATE),
        (["127.0.0.1", "private.test", "127.0.0.2", "public.test"], None),
        (["public.test", "ftp://public.test/x"], "another scheme"),
        (["public.test", "file:///etc/passwd"], "another scheme"),
        (["public.test", "s3://bucket/key"], "another scheme"),
        (["public.test", "gopher://public.test/"], "another scheme"),
        (["public.test", "//[bad/"], "malformed"),
    ],
)
async def test_each_hop_of_a_chain_is_checked(
    chain: list[str], refused: str | None, request_of: Callable[[HttpSources, str], Awaitable[None]]
) -> None:
    """Of a source, of a list by URL, and of a list of digests."""
    async with redirecting(chain) as (url, hosts), HttpSources(allow=["10.0.0.0/8"]) as sources:
        if refused is None:
            await request_of(sources, url)
            assert hosts == chain
            return
        with pytest.raises(SourceRefused, match=refused):
            await request_of(sources, url)
        assert hosts == chain[:-1]


@pytest.mark.parametrize(
    ("host", "refused"),
    [
        *((host, "") for host in ("127.0.0.1", "127.1.0.1", "private.test", "public.test", "several.test", "[::1]")),
        *((host, "metadata") for host in ("127.2.0.1", "metadata.test", "[::ffff:127.2.0.1]", "[64:ff9b::7f02:1]")),
        *((host, "metadata") for host in ("0x7f020001", "127.0x20001")),
        *((host, "malformed|metadata") for host in ("0177.2.0.1", "127.131073", "2130837505")),
    ],
)
@pytest.mark.parametrize("method", ["post", "get"])
async def test_webhooks_and_heartbeats_obey_the_same_rules(host: str, refused: str, method: str) -> None:
    """A redirect of theirs is not followed."""
    async with redirecting([host, "metadata.test"]) as (url, hosts), WebhookClient(SystemClock()) as client:
        reply = await (client.get(url, {}) if method == "get" else client.post(url, {}, b"{}"))
    if refused or host == "[::1]":  # where nothing listens
        assert reply.status is None
        assert re.search(refused, reply.problem)
        assert hosts == []
    else:
        assert (reply.status, hosts) == (302, [host])


async def test_the_address_that_is_connected_to_counts_whatever_a_name_was_before(world: dict[str, list[str]]) -> None:
    async with redirecting(["public.test"]) as (url, hosts), HttpSources() as sources:
        await probe(sources, url)
        world["public.test"] = ["127.2.0.1"]
    async with redirecting(["public.test"]) as (url, hosts), HttpSources() as sources:
        with pytest.raises(SourceRefused, match="metadata"):
            await probe(sources, url)
    assert hosts == []


async def test_a_kept_connection_to_a_private_address_is_not_used_behind_a_public_one() -> None:
    async with redirecting(["public.test", "private.test"]) as (url, hosts), HttpSources() as sources:
        await probe(sources, url.replace("public.test", "private.test").replace("/0", "/1"))
        with pytest.raises(SourceRefused, match=REFUSED_PRIVATE):
            await probe(sources, url)
    assert hosts == ["private.test", "public.test"]


async def test_of_several_addresses_only_those_are_connected_to_that_are_allowed() -> None:
    async with redirecting(["several.test"]) as (url, _), HttpSources() as sources:
        await probe(sources, url)
    async with redirecting(["public.test", "public-or-private.test"]) as (url, _), HttpSources() as sources:
        await probe(sources, url)


@pytest.mark.parametrize("chain", [["metadata.test"], ["127.2.0.1"], ["public.test", "metadata.test"]])
async def test_a_listed_network_is_exempt(chain: list[str]) -> None:
    block = DaemonSection.model_validate({"network": {"allow": ("127.2.0.0/16",)}})
    settings = resolve({"state": "/s"}, {}, daemon_settings(block))
    async with redirecting(chain) as (url, hosts), HttpSources(allow=settings.network_allow) as sources:
        await probe(sources, url)
    assert hosts == chain


async def test_lists_of_sources_and_of_digests_obey_the_rules_too() -> None:
    async with redirecting(["public.test", "private.test"]) as (url, _), HttpSources() as sources:
        with pytest.raises(SourceRefused, match=REFUSED_PRIVATE):
            await sources.list_source(url, HttpOptions()).probe()
        options = Options(requires=SourceRequirements(checksum=DeclaredSum(url=url)))
        with pytest.raises(SourceRefused, match=REFUSED_PRIVATE):
            await sources.declared(replace(item_of("http://127.0.0.1/x"), options=options))


async def test_a_name_that_does_not_resolve_is_tried_again(world: dict[str, list[str]]) -> None:
    async with redirecting(["later.invalid"]) as (url, _), HttpSources() as sources:
        with pytest.raises(SourceUnavailable, match="does not resolve"):
            await probe(sources, url)
        world["later.invalid"] = ["127.0.0.1"]
        await probe(sources, url)
