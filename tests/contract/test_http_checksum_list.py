"""Declared checksums in a list at a URL: which headers are sent to it, and what it must contain."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from mirrord.errors import SourceMissing, SourceRefused
from mirrord.model import DeclaredSum, Item, SourceRequirements
from mirrord.sources.http import HttpSources
from mirrord.sources.http.checksum_list import LARGEST
from tests.support.origin import Generated, Origin, redirects
from tests.support.reading import item_of

A, B = "a" * 64, "b" * 64


@pytest.fixture
async def sources() -> AsyncIterator[HttpSources]:
    async with HttpSources() as sources:
        yield sources


def declaring(item: Item, checksum: DeclaredSum | None) -> Item:
    return replace(item, options=replace(item.options, requires=SourceRequirements(checksum=checksum)))


def listed(url: str, sums: str, **http: object) -> Item:
    item = item_of(url, **http)
    return declaring(item, DeclaredSum(url=sums))


async def test_a_declared_checksum_is_read_from_a_list(origin: Origin, sources: HttpSources) -> None:
    sums = origin.publish("/SHA256SUMS", f"{B}  other.tar\n{A} *x y.tar\n".encode())
    item = listed(origin.url("/deep/x%20y.tar?sig=1"), sums)
    assert await sources.declared(item) == A
    assert [asked.path for asked in origin.log] == ["/SHA256SUMS"]
    inline = declaring(item, DeclaredSum(B))
    assert await sources.declared(inline) == B
    assert await sources.declared(declaring(item, None)) is None
    assert len(origin.log) == 1


async def test_a_list_larger_than_a_read_is_read_whole(origin: Origin, sources: HttpSources) -> None:
    lines = "".join(f"{n:064x}  file-{n}\n" for n in range(3000))
    item = listed(origin.url("/file-2999"), origin.publish("/SUMS", lines.encode()))
    assert await sources.declared(item) == f"{2999:064x}"


async def test_the_entrys_secrets_are_sent_to_a_list_at_its_own_origin_only(
    origin: Origin, sources: HttpSources
) -> None:
    origin.publish("/SUMS", A.encode())
    url = origin.url("/x").replace("//", "//user:pass@")
    for host, secret in (("127.0.0.1", True), ("localhost", False)):
        origin.log.clear()
        assert await sources.declared(listed(url, origin.url("/SUMS", host=host), headers={"X-Token": "t"})) == A
        (asked,) = origin.log
        assert ("x-token" in asked.headers) is secret
        assert ("authorization" in asked.headers) is secret


async def test_secrets_do_not_follow_a_redirect_of_the_list(origin: Origin, sources: HttpSources) -> None:
    origin.publish("/SUMS", A.encode())
    origin.behave("/moved", redirects(origin.url("/SUMS", host="localhost")))
    assert await sources.declared(listed(origin.url("/x"), origin.url("/moved"), headers={"X-Token": "t"})) == A
    assert ["x-token" in asked.headers for asked in origin.log] == [True, False]


async def test_a_list_without_the_name_is_refused(origin: Origin, sources: HttpSources) -> None:
    sums = origin.publish("/SUMS", f"{A}  other\n".encode())
    with pytest.raises(SourceRefused, match=r"checksum: http://.*/SUMS\?… names no sha256 of x$") as caught:
        await sources.declared(listed(origin.url("/x"), f"{sums}?token=secret"))
    assert "secret" not in str(caught.value)
    with pytest.raises(SourceMissing):
        await sources.declared(listed(origin.url("/x"), origin.url("/none")))


async def test_a_list_that_is_too_large_is_refused(origin: Origin, sources: HttpSources) -> None:
    sums = origin.publish("/image.iso", Generated(2 * LARGEST, seed=1))
    with pytest.raises(SourceRefused, match=r"over 64\.0 MiB: no list"):
        await sources.declared(listed(origin.url("/x"), sums))


async def test_a_list_is_read_while_the_items_own_response_is_open(origin: Origin, sources: HttpSources) -> None:
    url, sums = origin.publish("/x", Generated(10_000_000, seed=1)), origin.publish("/SUMS", A.encode())
    item = listed(url, sums)
    async with sources.source(item) as source:
        assert await source.probe()
        assert await sources.declared(item) == A
