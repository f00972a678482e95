"""Fixture `discarding`: a store that counts calls and bytes and keeps no data, for transfers larger than the disk.

It implements only the S3 calls of one transfer. It returns each checksum that it receives without verifying it, so it
cannot be used for tests of integrity. It runs in its own thread.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from aiohttp import web

from tests.support.operations import operation
from tests.support.weed import Server

_CRC = "x-amz-checksum-crc64nvme"
_CREATED = "<InitiateMultipartUploadResult><UploadId>one</UploadId></InitiateMultipartUploadResult>"
_EMPTY = "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>"


@dataclass
class Discarding:
    """Counts of calls by operation, and of body bytes received."""

    server: Server = field(default_factory=lambda: Server("http://127.0.0.1:0"))
    calls: Counter[str] = field(default_factory=Counter)
    received: int = 0

    async def answer(self, request: web.Request) -> web.Response:
        name, _, _ = operation(request.method, request.raw_path, request.headers)
        self.calls[name] += 1
        async for piece in request.content.iter_any():
            self.received += len(piece) if name in ("PutObject", "UploadPart") else 0
        crc = {_CRC: request.headers[_CRC]} if _CRC in request.headers else {}
        if name == "HeadObject":
            return web.Response(status=404)
        if name == "CreateMultipartUpload":
            return web.Response(text=_CREATED, content_type="application/xml")
        if name == "ListMultipartUploads":
            return web.Response(text=_EMPTY, content_type="application/xml")
        if name == "CompleteMultipartUpload":
            echo = f"<ChecksumCRC64NVME>{crc.get(_CRC, '')}</ChecksumCRC64NVME>"
            body = f'<CompleteMultipartUploadResult><ETag>"whole-1"</ETag>{echo}</CompleteMultipartUploadResult>'
            return web.Response(text=body, content_type="application/xml")
        return web.Response(headers={"ETag": '"part"', **crc})


@pytest.fixture
def discarding() -> Iterator[Discarding]:
    """A new store for each test."""
    store = Discarding()
    ready, stop = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        app = web.Application(client_max_size=0)
        app.router.add_route("*", "/{path:.*}", store.answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        store.server = replace(store.server, endpoint_url=f"http://127.0.0.1:{runner.addresses[0][1]}")
        ready.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), name="discarding")
    thread.start()
    ready.wait(60)
    try:
        yield store
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(60)
        loop.close()
