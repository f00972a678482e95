"""A store that closes every reused connection without an answer, as some proxies before stores do."""

import asyncio
from pathlib import Path
from typing import Any
from weakref import WeakSet

import pytest
from aiohttp import web

from mirrord.errors import OutcomeUnknown
from mirrord.model import ObjectOptions
from mirrord.s3 import single_use
from mirrord.s3.session import S3Store
from tests.support.proxy import Seen, StoreProxy
from tests.support.syncing import manifest, sync

FILES = 60


class OneAnswerEach:
    """`before` of a proxy: a connection's second request is not answered."""

    def __init__(self) -> None:
        self.closed = 0
        self._known: WeakSet[Any] = WeakSet()

    async def __call__(self, seen: Seen, request: web.Request) -> web.StreamResponse | None:
        assert request.transport is not None
        if request.transport in self._known:
            self.closed += 1
            request.transport.abort()
            raise ConnectionResetError
        self._known.add(request.transport)
        return None


async def test_sync_of_many_files_goes_through(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any
) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for number in range(FILES):
        (inbox / f"{number}.bin").write_bytes(f"{number}".encode() * 1000)
    store_proxy.before = OneAnswerEach()
    done = await sync(
        tmp_path,
        manifest(tmp_path, store_proxy.server, f"folders:\n  - {{path: {inbox}, to: 's3://{bucket}/', settle: 0s}}\n"),
    )
    assert done.code == 0, done.output
    assert len(s3_client.list_objects_v2(Bucket=bucket)["Contents"]) == FILES
    assert "transfer.failed" not in done.err
    assert "item.retrying" not in done.err


async def test_after_one_such_failure_every_request_has_a_connection_of_its_own(
    store_proxy: StoreProxy, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    closing = OneAnswerEach()
    at = store_proxy.server.destination(bucket, "key")
    async with S3Store(store_proxy.server.options()) as store:

        async def call() -> None:
            await store.put_object(at, memoryview(b"x"), ObjectOptions())

        await call()  # leaves a connection that is kept
        store_proxy.before = closing
        await call()
        with pytest.raises(OutcomeUnknown):
            await call()
        met = closing.closed
        for _ in range(5):
            await call()
        assert closing.closed == met

        store_proxy.before = None
        monkeypatch.setattr(single_use, "_now", lambda: 1e9)  # later, connections are kept again
        connections = WeakSet[Any]()

        async def note(seen: Seen, request: web.Request) -> None:
            connections.add(request.transport)

        store_proxy.before = note
        await call()
        await call()
        assert len(connections) == 1


async def test_a_read_is_asked_again_on_a_new_connection(store_proxy: StoreProxy, bucket: str) -> None:
    """However many idle ones the store closes."""
    closing = OneAnswerEach()
    store_proxy.before = closing
    at = store_proxy.server.destination(bucket, "key")
    async with S3Store(store_proxy.server.options()) as store:
        await asyncio.gather(*(store.head_object(at) for _ in range(20)))
        await asyncio.gather(*(store.head_object(at) for _ in range(20)))
    assert closing.closed


def test_connections_are_used_once_for_longer_each_time_that_it_happens_again_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    period = single_use.SingleUsePeriod()
    now = 1000.0
    monkeypatch.setattr(single_use, "_now", lambda: now)
    spans = []
    for wait in (0, 0, 61, 130, 10_000):
        now += wait
        period.begin()
        begun, passed = now, now
        while period.active:
            now += 1
        passed, now = now - passed, begun
        spans.append(passed)
    assert spans == [60, 60, 120, 240, 60]
