"""Requests a heartbeat URL regularly while mirrord works, so that a monitor notices when it does not.

Owns the times. `healthy` decides; a request that fails is repeated sooner than `every`.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from logging import getLogger

from mirrord.declared import Heartbeat
from mirrord.model import revealed
from mirrord.notify.message import USER_AGENT
from mirrord.planning.notifications.delivery import Reply
from mirrord.ports import Clock

_log = getLogger(__name__)

LOOK_EVERY = 5.0
"""Seconds between two looks while mirrord is not healthy."""
REPEAT_AFTER = 30.0
"""Seconds after a request that failed."""

Get = Callable[[str, Mapping[str, str]], Awaitable[Reply]]


@dataclass(slots=True, kw_only=True)
class HeartbeatLoop:
    """Requests one heartbeat URL each `every` seconds while `healthy`."""

    heartbeat: Heartbeat
    healthy: Callable[[], bool]
    get: Get
    clock: Clock
    problem: str = field(default="", init=False)
    """Why the last request failed; empty: it was answered with 2xx."""

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.clock.sleep(await self.beat())

    async def beat(self) -> float:
        """One request if mirrord is healthy; returns the seconds until the next look."""
        every = self.heartbeat.every
        if not self.healthy():
            return min(LOOK_EVERY, every)
        headers = {"User-Agent": USER_AGENT, **revealed(self.heartbeat.headers)}
        reply = await self.get(self.heartbeat.url.reveal(), headers)
        problem = "" if reply.accepted else str(reply)
        if bool(problem) != bool(self.problem):
            _log.warning("heartbeat %s: %s", self.heartbeat.shown, problem or "accepted again")
        self.problem = problem
        return min(REPEAT_AFTER, every) if problem else every
