"""Which stores refuse conditional writes, as learned by this process.

Owns the memory only: `s3` recognises the refusal (`ConditionRefused`), `reconcile` repeats the write without condition.
"""

from collections.abc import Iterator
from contextlib import contextmanager


class RefusedConditions:
    """The endpoints that refuse If-None-Match."""

    def __init__(self) -> None:
        self._endpoints: set[str] = set()

    def __contains__(self, endpoint: str) -> bool:
        return endpoint in self._endpoints

    def add(self, endpoint: str) -> None:
        """It was learned before this process."""
        self._endpoints.add(endpoint)

    def forget(self, endpoint: str) -> None:
        """It may support them now."""
        self._endpoints.discard(endpoint)

    @contextmanager
    def tried_without(self, endpoint: str) -> Iterator[None]:
        """The write that this endpoint refused is repeated without its condition. If that fails, too, the condition was
        probably not the cause, and is sent again with the next write, unless another write learned it before."""
        known = endpoint in self._endpoints
        self._endpoints.add(endpoint)
        try:
            yield
        except BaseException:
            if not known:
                self._endpoints.discard(endpoint)
            raise
