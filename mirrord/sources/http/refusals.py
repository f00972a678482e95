"""Which sources refuse conditional or range requests: kept for a day, in memory."""

from collections.abc import Callable
from enum import StrEnum

DAY = 86400.0
MOST = 10_000
"""Refusals that are kept; the oldest is dropped first."""


class RequestKind(StrEnum):
    """A request that a server may refuse although a plain one succeeds. The value is for log lines."""

    CONDITIONS = "conditional requests"
    RANGES = "ranges"


class Refusals:
    """Sources by the fingerprint of their address. `monotonic`: seconds that never go back."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._until: dict[tuple[RequestKind, str], float] = {}

    def note(self, kind: RequestKind, address: str) -> None:
        """Record that the source refused such a request now."""
        self._until.pop((kind, address), None)
        while len(self._until) >= MOST:
            del self._until[next(iter(self._until))]
        self._until[kind, address] = self._monotonic() + DAY

    def known(self, kind: RequestKind, address: str) -> bool:
        """Whether the source refused such a request within the last day."""
        until = self._until.get((kind, address))
        if until is not None and self._monotonic() >= until:
            del self._until[kind, address]
            return False
        return until is not None
