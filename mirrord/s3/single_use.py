"""When each connection to a store carries one request only: a store that closes reused ones closes the next too."""

from time import monotonic as _now

SINGLE_USE = 60.0
MAX_SINGLE_USE = 3600.0
"""Seconds in which each connection is used once, after one closed without an answer. It is longer than idle connections
are kept open, and doubles each time that the same happens again soon."""


class SingleUsePeriod:
    """A time in which each connection is used once. See SINGLE_USE."""

    def __init__(self) -> None:
        self._until = float("-inf")
        self._length = SINGLE_USE

    @property
    def active(self) -> bool:
        return _now() < self._until

    def begin(self) -> None:
        """Begin a period, unless one is active. Stores close idle connections: the next request needs a new one."""
        if self.active:
            return
        now = _now()
        again = now - self._until < self._length
        self._length = min(self._length * 2, MAX_SINGLE_USE) if again else SINGLE_USE
        self._until = now + self._length
