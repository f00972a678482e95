"""The real clock."""

import asyncio
import time


class SystemClock:
    """Implements `ports.Clock` over the system's clocks and the running event loop."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
