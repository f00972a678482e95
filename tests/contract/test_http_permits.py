"""Permits of requests to a host: each is held until the body has ended, and given back whatever happens."""

from collections.abc import AsyncIterator

import pytest

from mirrord.errors import SourceError
from mirrord.model import Destination, HttpOptions, Item, Observed, origin_at
from mirrord.ports import Source, SourceLimits
from mirrord.reconcile.call_limits import CallLimits
from mirrord.sources.http import HttpSources
from mirrord.units import KiB
from tests.support.origin import Origin, answers, cut_after, redirects


class World:
    """The sources of one origin, and the permits of its host."""

    def __init__(self, sources: HttpSources, limits: CallLimits, origin: Origin) -> None:
        self.limits = limits
        self._sources = sources
        self._origin = origin
        self._host = limits.host(origin.url("/"))

    def source(self, path: str) -> Source:
        at = Destination("one", "http://one", "bucket", "key")
        return self._sources.source(Item(id="1", entry="e", origin=origin_at(self._origin.url(path)), destination=at))

    def list_source(self, path: str) -> Source:
        return self._sources.list_source(self._origin.url(path), HttpOptions())

    @property
    def running(self) -> int:
        assert self._host is not None
        return self._host.running


@pytest.fixture
async def world(origin: Origin) -> AsyncIterator[World]:
    limits = CallLimits()
    async with HttpSources(paced=SourceLimits(permits=limits.host)) as sources:
        yield World(sources, limits, origin)


async def test_a_request_has_its_permit_until_its_body_has_ended(world: World, origin: Origin) -> None:
    origin.publish("/large", bytes(1024 * KiB))
    async with world.source("/large") as source:
        observed = await source.probe()
        assert observed is not None
        assert world.running == 1
        async with source.open(observed) as stream:
            await stream.readinto(memoryview(bytearray(64 * KiB)))
            assert world.running == 1
            while await stream.readinto(memoryview(bytearray(64 * KiB))):
                pass
            assert world.running == 0
        async with source.open(observed, 10, 900 * KiB):
            assert world.running == 1
        assert world.running == 0
        await source.probe()
    assert world.running == 0, "it was not read"


async def test_a_304_gives_it_back(world: World, origin: Origin) -> None:
    origin.publish("/small", b"x")
    async with world.source("/small") as source:
        first = await source.probe()
        assert first is not None
        assert await source.probe(first.revision) is None
        assert world.running == 0


async def test_each_hop_of_a_redirect_has_its_own(world: World, origin: Origin) -> None:
    origin.behave("/from", redirects(origin.publish("/to", bytes(1024 * KiB))))
    async with world.source("/from") as source:
        await source.probe()
        assert world.running == 1
    assert world.running == 0


@pytest.mark.parametrize("status", [503, 429, 404, 500])
async def test_an_answer_that_is_an_error_gives_it_back(world: World, origin: Origin, status: int) -> None:
    origin.behave("/it", answers(status))
    async with world.source("/it") as source:
        with pytest.raises(SourceError) as raised:
            await source.probe()
    assert world.running == 0
    assert raised.value.throttled is (status in (503, 429))
    assert not world.limits.limits, "no other request ran"


async def read_all(source: Source, observed: Observed) -> None:
    async with source.open(observed) as stream:
        while await stream.readinto(memoryview(bytearray(64 * KiB))):
            pass


async def test_no_answer_and_a_broken_body_give_it_back(world: World, origin: Origin) -> None:
    origin.publish("/cut", bytes(1024 * KiB))
    origin.behave("/cut", cut_after(1000))
    async with world.source("/cut") as source:
        observed = await source.probe()
        assert observed is not None
        with pytest.raises(SourceError):
            await read_all(source, observed)
    assert world.running == 0
    origin.port = 1
    nobody = world.limits.host(origin.url("/"))
    assert nobody is not None
    async with world.source("/none") as source:
        with pytest.raises(SourceError):
            await source.probe()
    assert nobody.running == 0


async def test_a_refusal_while_another_request_runs_limits_the_host(world: World, origin: Origin) -> None:
    origin.publish("/large", bytes(1024 * KiB))
    origin.behave("/busy", answers(503))
    async with world.source("/large") as first, world.source("/busy") as second:
        await first.probe()
        with pytest.raises(SourceError):
            await second.probe()
    assert list(world.limits.limits.values()) == [1]


async def test_a_list_takes_none(world: World, origin: Origin) -> None:
    origin.publish("/large", bytes(1024 * KiB))
    async with world.list_source("/large") as source:
        await source.probe()
        assert world.running == 0
