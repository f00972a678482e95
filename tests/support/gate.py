"""A gate in front of a store: calls of chosen operations wait until the test opens the gate."""

import asyncio
import threading

from aiohttp import web

from tests.support.proxy import Seen, StoreProxy

PATIENCE = 20.0


class Gate:
    """Makes calls to a store wait: `gate = Gate.before(proxy, "UploadPart")`. Its methods are for the test's thread."""

    def __init__(self, *operations: str, after: int = 0, key: str = "", part: int = 0) -> None:
        """Forwards the first `after` calls of these operations (on this key, this part); later ones wait for `open`."""
        self._operations = operations
        self._left = after
        self._key = key
        self._part = part
        self.held = 0
        """The number of calls that were made to wait."""
        self._reached = threading.Event()
        self._opened = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None  # the event loop of the proxy

    @classmethod
    def before(cls, proxy: StoreProxy, *operations: str, after: int = 0, key: str = "", part: int = 0) -> "Gate":
        """Install a gate in this proxy."""
        gate = cls(*operations, after=after, key=key, part=part)
        proxy.before = gate
        return gate

    async def __call__(self, seen: Seen, request: web.Request) -> web.StreamResponse | None:
        if seen.operation not in self._operations or (self._key and seen.key != self._key):
            return None
        if self._part and request.query.get("partNumber") != str(self._part):
            return None
        if self._left > 0:
            self._left -= 1
            return None
        self._loop = asyncio.get_running_loop()
        self.held += 1
        self._reached.set()
        await self._opened.wait()
        return None

    async def reached(self, seconds: float = PATIENCE) -> None:
        """Wait until a call waits at the gate."""
        assert await asyncio.to_thread(self._reached.wait, seconds), "no call reached the gate"

    def open(self) -> None:
        """Let all calls pass, including those that wait. Call it only after `reached`."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._opened.set)
