"""`mirrord sync`, killed at an exact moment: while a call to the store waits in the proxy."""

import asyncio
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.support.command import Process, environment, start
from tests.support.proxy import Seen, StoreProxy


class HeldCalls:
    """Makes `count` calls of `operation` ("": any) wait, from the `nth` on: before the store gets them or, with
    `answered`, after its answer. Only calls whose key begins with `below` count."""

    def __init__(
        self, operation: str, nth: int = 1, count: int = 1, *, answered: bool = False, below: str = ""
    ) -> None:
        self.operation, self._below = operation, below
        self._passing = nth - 1
        self._count = count
        self._answered = answered
        self._reached = threading.Event()
        self._gates: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    def set_on(self, proxy: StoreProxy) -> None:
        proxy.before, proxy.after = (None, self._hold) if self._answered else (self._hold, None)

    async def _hold(self, seen: Seen, request: web.Request) -> web.StreamResponse | None:
        other = self.operation not in ("", seen.operation) or not seen.key.startswith(self._below)
        if other or len(self._gates) == self._count:
            return None
        if self._passing:
            self._passing -= 1
            return None
        gate = asyncio.Event()
        self._gates.append((asyncio.get_running_loop(), gate))
        if len(self._gates) == self._count:
            self._reached.set()
        await gate.wait()
        return web.Response(status=503)

    async def reached(self, seconds: float = 60) -> bool:
        return await asyncio.to_thread(self._reached.wait, seconds)

    def release(self) -> None:
        self._reached.set()
        for loop, gate in self._gates:
            loop.call_soon_threadsafe(gate.set)


@asynccontextmanager
async def _syncing(home: Path, file: Path) -> AsyncIterator[Process]:
    process = await start(["sync", str(file), "--log-format", "json"], environment(home), cwd=home)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def kill_at(held: HeldCalls, proxy: StoreProxy, home: Path, file: Path, *, later: float = 0.0) -> bool:
    """Run `sync` and kill it while the calls wait. False: it ended before these calls."""
    held.set_on(proxy)
    try:
        async with _syncing(home, file) as process:
            ended = asyncio.create_task(process.wait())
            reached = asyncio.create_task(held.reached())
            await asyncio.wait((ended, reached), return_when=asyncio.FIRST_COMPLETED)
            if reached.done():
                await asyncio.sleep(later)
                process.kill()
            return await ended == -signal.SIGKILL
    finally:
        proxy.before = proxy.after = None
        held.release()
        await reached


def open_uploads(s3_client: Any, bucket: str) -> list[str]:
    return [one["UploadId"] for one in s3_client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])]
