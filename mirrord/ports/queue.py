"""Which items to look at, and when."""

from collections.abc import Callable, Collection, Coroutine
from typing import Any, Protocol

Work = Callable[[str], Coroutine[Any, Any, None]]
"""One look at the item of this id, from its beginning to its end."""


class Queue(Protocol):
    """Which items to look at, and when. Delivery is at least once; one item never overlaps itself."""

    async def enqueue(self, item_id: str, delay: float = 0.0) -> None:
        """Wish for a look in `delay` seconds; of two wishes for an item the sooner wins.

        A wish made while the item is looked at is honoured afterwards. A negative delay goes before what is due."""

    async def cancel(self, item_id: str) -> None:
        """Drop the item's wish, cancel its look if one runs, and return when that has ended (not from within it).

        A wish made meanwhile stands."""

    async def run(self, work: Work, concurrency: int) -> None:
        """Call `work` for each item whose time comes, `concurrency` at a time, until stopped or cancelled.

        Cancelled, it cancels what runs, waits until that ended, and keeps those items for the next run. What `work`
        raises is logged, and the item comes again later."""

    async def stop(self, grace: float) -> None:
        """Start nothing more; what runs has `grace` seconds to end, is then cancelled and awaited. `run` returns."""

    def __len__(self) -> int:
        """Items that wait, due or not; not those that run."""

    @property
    def running(self) -> Collection[str]:
        """The items that are looked at now."""

    @property
    def due(self) -> int:
        """How many wait although their time has come: what a larger bound would start at once."""
