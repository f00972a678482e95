"""Which addresses refuse conditional or ranged requests: remembered for a day, in memory."""

from collections.abc import Callable
from enum import StrEnum

DAY = 86400.0
MOST = 10_000
"""Addresses; those that were noted first are forgotten first."""


class Kind(StrEnum):
    """What is refused where a plain request works."""

    CONDITIONS = "conditional requests"
    RANGES = "ranges"


class Refusals:
    """`monotonic`: seconds that never go back."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._until: dict[tuple[Kind, str], float] = {}

    def note(self, kind: Kind, address: str) -> None:
        """`address` refused such a request just now."""
        self._until.pop((kind, address), None)
        while len(self._until) >= MOST:
            del self._until[next(iter(self._until))]
        self._until[kind, address] = self._monotonic() + DAY

    def known(self, kind: Kind, address: str) -> bool:
        """Whether `address` did so within the last day."""
        until = self._until.get((kind, address))
        if until is not None and self._monotonic() >= until:
            del self._until[kind, address]
            return False
        return until is not None
