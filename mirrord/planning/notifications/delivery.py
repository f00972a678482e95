"""What follows one attempt to deliver a notification: it is delivered, sent again later, or dead. Pure.

Owns the back-off and its end. Owns also when a receiver that does not answer is asked again at all: `sender` asks it
with one notification at a time until it accepts one.
"""

from mirrord.frozen import frozen
from mirrord.planning.timing.backoff import Backoff, pause

GIVEN_UP_AFTER = 24 * 3600.0
"""Seconds after the event. mirrord may have been stopped meanwhile, so `LEAST_ATTEMPTS` must have been made, too."""
LEAST_ATTEMPTS = 5
RETRIES = Backoff(base=5.0, cap=3600.0, jitter=0.5)
"""Between two attempts at one notification."""
LONGEST_PAUSE = RETRIES.cap + RETRIES.longest_retry_after
"""Seconds. A later time was set by a clock that was wrong."""
PROBES = Backoff(base=1.0, cap=60.0, jitter=0.5)
"""Between two attempts at a receiver whose last answers were failures."""


@frozen
class Reply:
    """How a receiver replied. `status` is None if no answer came; `problem` then tells why, without secrets."""

    status: int | None = None
    problem: str = ""
    retry_after: float | None = None

    @property
    def accepted(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_final(self) -> bool:
        """A refusal that a repetition would not change. A redirect may be temporary, as a maintenance page is."""
        return self.status is not None and 400 <= self.status < 500 and self.status != 429

    def __str__(self) -> str:
        if self.status is None:
            return self.problem
        return f"answered {self.status}" + (", a redirect, which is not followed" if 300 <= self.status < 400 else "")


def retry_at(reply: Reply, failures: int, happened: float, now: float, chance: float) -> float | None:
    """When the notification is sent again after `failures` attempts, the last of them with this reply; None: it is
    dead."""
    if reply.is_final or (failures >= LEAST_ATTEMPTS and now - happened >= GIVEN_UP_AFTER):
        return None
    return now + pause(RETRIES, failures, chance, reply.retry_after)


def probe_in(reply: Reply, failures: int, chance: float) -> float:
    """Seconds until the receiver is asked again after so many failures in a row."""
    return pause(PROBES, failures, chance, reply.retry_after)
