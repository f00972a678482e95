"""A gate before a store: calls of some kinds are held back until a test lets them pass."""

import asyncio
import threading

from aiohttp import web

from tests.support.proxy import Seen, StoreProxy

PATIENCE = 20.0


class Gate:
    """Holds calls to a store back: `gate = Gate.before(proxy, "UploadPart")`. For the test's thread."""

    def __init__(self, *operations: str, after: int = 0, key: str = "", part: int = 0) -> None:
        """Let `after` calls of these operations (on this key, of this part) pass, hold the others until `open`."""
        self._operations = operations
        self._left = after
        self._key = key
        self._part = part
        self.held = 0
        """How many calls came to be held."""
        self._reached = threading.Event()
        self._opened = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None  # the proxy's

    @classmethod
    def before(cls, proxy: StoreProxy, *operations: str, after: int = 0, key: str = "", part: int = 0) -> "Gate":
        """A gate in this proxy from now on."""
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
        """Wait until a call is held."""
        assert await asyncio.to_thread(self._reached.wait, seconds), "no call came to the gate"

    def open(self) -> None:
        """Let everything pass, also what was held. Once `reached`."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._opened.set)
