"""How a call to a store is repeated within one attempt: by which rule, and whose sleep and luck."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mirrord.planning.backoff import Backoff

PART_BACKOFF = Backoff(base=0.25, cap=10.0, tries=5, longest_retry_after=60.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeats:
    """How a failed part is sent again. `sleep` and `chance` are the caller's, so that tests own time and luck."""

    rule: Backoff = PART_BACKOFF
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: Callable[[], float] = random.random


USUAL_REPEATS = Repeats()
