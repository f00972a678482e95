"""The retry loop: repeats one call while its errors are retryable.

Owns the loop, its sleep and its random numbers. `planning.timing.backoff` computes the pauses. The caller decides which
errors are retryable, because that depends on the call: whether it is idempotent, and whether its buffer is intact.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from mirrord.errors import MirrordError
from mirrord.frozen import frozen
from mirrord.planning.timing.backoff import Backoff, exhausted, pause

T = TypeVar("T")

AsyncCall = Callable[[], Awaitable[T]]
Retryable = Callable[[MirrordError], bool]
"""Whether the call may be repeated after this error."""

PART_BACKOFF = Backoff(base=0.25, cap=10.0, tries=5, longest_retry_after=60.0)
WRITE_BACKOFF = Backoff(base=0.25, cap=4.0, tries=4)
"""Short, because the whole attempt is retried, too, with pauses that are long enough for an outage."""


@dataclass(slots=True)
class Failures:
    """How many calls failed in a row. The caller of several calls sets `count` to 0 when there was progress."""

    count: int = 0


@frozen(kw_only=True)
class RetryPolicy:
    """`await policy.run(call, retryable)`. Tests give their own `sleep` (seconds) and `chance` (uniform in [0, 1))."""

    rule: Backoff = PART_BACKOFF
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: Callable[[], float] = random.random

    @property
    def of_writes(self) -> "RetryPolicy":
        """The same sleep and chance with the shorter rule, for calls that create, complete, put or abort."""
        return WRITE_RETRY if self is PART_RETRY else replace(self, rule=WRITE_BACKOFF)

    async def run(self, call: AsyncCall[T], retryable: Retryable, failures: Failures | None = None) -> T:
        """Call `call` until it succeeds and return its result. Raises the first error that is not retryable, or the
        last one when `rule` allows no further try.

        Earlier failures in `failures` count, too.
        """
        while True:
            try:
                return await call()
            except MirrordError as error:
                failures = failures or Failures()
                if (wait := self.wait_after(error, retryable, failures)) is None:
                    raise
            await self.sleep(wait)

    def wait_after(self, error: MirrordError, retryable: Retryable, failures: Failures) -> float | None:
        """Count the failure. Seconds until the next try; None: no further try."""
        failures.count += 1
        return self.wait(failures.count, error.retry_after) if retryable(error) else None

    def wait(self, failures: int, retry_after: float | None = None) -> float | None:
        """Seconds until the next try after `failures` (from 1) failed ones. None: no further try."""
        return None if exhausted(self.rule, failures) else pause(self.rule, failures, self.chance(), retry_after)


PART_RETRY = RetryPolicy()
WRITE_RETRY = RetryPolicy(rule=WRITE_BACKOFF)
