"""The protocol of event readers, between `DirectoryWatch` and its two readers, `inotify` and `portable`."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

OnWatching = Callable[[], object]
"""Called once, as soon as all watches are set. Each later change is reported."""
ShouldStop = Callable[[], bool]
"""Whether the reader should end. Called at least every 0.1 s."""


class EventReader(Protocol):
    """Reads events on the calling thread."""

    def __call__(
        self, roots: Sequence[str], *, recursive: bool, on_watching: OnWatching, should_stop: ShouldStop, every: float
    ) -> Iterator[set[str]]:
        """Yield each batch of changed paths, and an empty one after `every` seconds without changes.

        Ends when `should_stop()` is true, and when the watches are no longer complete: then the caller starts again.
        Raises OSError if events are not available, FileNotFoundError if a root is missing.
        """
        ...
