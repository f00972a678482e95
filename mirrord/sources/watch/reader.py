"""What a reader of events is: the one seam between `Watch` and the two of them, `inotify` and `portable`."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

Standing = Callable[[], object]
"""Called once, as soon as what is to be watched is: what changes from then on is handed on."""
Stopped = Callable[[], bool]
"""Whether to end; asked every tenth of a second at least."""


class Follow(Protocol):
    """Reads events on the calling thread."""

    def __call__(
        self, roots: Sequence[str], *, recursive: bool, standing: Standing, stopped: Stopped, every: float
    ) -> Iterator[set[str]]:
        """Each batch of changed paths, and an empty one after `every` seconds without any.

        Ends once stopped, or when what is watched is no longer what is there; then it is to be called anew. Raises
        OSError where events cannot be had, FileNotFoundError where a root is gone.
        """
        ...
