"""Which items to check, and when."""

from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from typing import Any, Protocol

CheckItem = Callable[[str], Coroutine[Any, Any, None]]
"""One check of the item with this id, from its beginning to its end."""


class Queue(Protocol):
    """Which items to check, and when. Delivery is at least once; two checks of one item never overlap.

    An item has at most one ticket: the time from which it may be checked. The queue may run in another process: every
    call is asynchronous, and only the process that runs a check can observe that it was cancelled.
    """

    async def enqueue(self, item_id: str, delay: float = 0.0, lane: str = "") -> None:
        """Ask for a check in `delay` seconds. If the item has a ticket, the earlier time counts.

        If the item is being checked, the ticket is used after that check. Where more are due than can be checked, lanes
        take turns; in one lane the earlier time comes first. A negative delay comes before all lanes.
        """

    async def cancel(self, item_id: str) -> None:
        """Drop the item's ticket, and request that its running check is cancelled. Does not wait for the end of it.

        A ticket that is enqueued after this call stays valid."""

    def apart(self) -> AbstractContextManager[None]:
        """Within a check: it waits for work that has a bound of its own, and does not count as one of `concurrency`."""

    async def run(self, work: CheckItem, concurrency: int) -> None:
        """Call `work` for each item that becomes due, `concurrency` at a time, until stopped or cancelled.

        When cancelled, it cancels the running checks, waits for their end, and keeps these items for the next run. An
        exception of `work` is logged, and the item is checked again later.
        """

    async def stop(self, grace: float) -> None:
        """Start no more checks. Running ones have `grace` seconds, then are cancelled and awaited. `run` returns."""

    async def due(self) -> int:
        """How many items are due and wait only because `concurrency` checks run."""
