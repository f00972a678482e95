"""Bytes that were sent to stores in each minute of the last hour, in memory only."""

from mirrord.ports import Clock

MINUTES = 60


class Throughput:
    """Holds MINUTES numbers, however many transfers run. Not kept across a restart."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sent = [0] * MINUTES  # a ring: the minute since the clock's start, modulo MINUTES
        self._minute = int(clock.monotonic() // 60)

    def add(self, sent: int) -> None:
        """Count bytes that were sent now."""
        self._advance()
        self._sent[self._minute % MINUTES] += sent

    def minutes(self) -> tuple[int, ...]:
        """Bytes of each minute, the oldest first; the last one still runs."""
        self._advance()
        first = (self._minute + 1) % MINUTES
        return (*self._sent[first:], *self._sent[:first])

    def _advance(self) -> None:
        minute = int(self._clock.monotonic() // 60)
        for passed in range(max(self._minute + 1, minute - MINUTES + 1), minute + 1):
            self._sent[passed % MINUTES] = 0
        self._minute = max(minute, self._minute)
