"""How fast a body comes while it is waited for. Pure: the time comes in.

Only waiting counts, not the time in which nobody asked for bytes: a slow store must not make its source look slow.
Silence is `idle_timeout`'s concern; this is for the source that never falls silent and never gets anywhere.
"""


class Pace:
    """Averages over windows of `window` seconds of waiting; `least` in bytes a second."""

    def __init__(self, least: int, window: float) -> None:
        self._least = least
        self._window = window
        self._waited = 0.0
        self._came = 0

    def slow(self, came: int, waited: float) -> bool:
        """Note that `came` bytes were waited for so long (seconds): whether a window ended below the least rate."""
        self._came += came
        self._waited += waited
        if self._waited < self._window:
            return False
        slow = self._came < self._least * self._waited
        self._waited, self._came = 0.0, 0
        return slow
