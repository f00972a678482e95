"""Heartbeats: requested while mirrord works, and sooner again after a failure."""

from collections.abc import Mapping

from mirrord.declared import Heartbeat
from mirrord.model import Secret
from mirrord.notify.heartbeat import HeartbeatLoop
from mirrord.planning.notifications.delivery import Reply
from mirrord.testing import ManualClock

BEAT = Heartbeat(url=Secret("https://hc.example.org/secret"), every=300.0, headers={"X-A": Secret("b")})


async def test_a_heartbeat_is_requested_while_mirrord_is_healthy() -> None:
    healthy, reply, asked = True, Reply(200), list[str]()

    async def get(url: str, headers: Mapping[str, str]) -> Reply:
        assert headers["X-A"] == "b"
        asked.append(url)
        return reply

    loop = HeartbeatLoop(heartbeat=BEAT, healthy=lambda: healthy, get=get, clock=ManualClock())
    assert await loop.beat() == 300.0
    healthy = False
    assert await loop.beat() == 5.0
    healthy, reply = True, Reply(500)
    assert await loop.beat() == 30.0
    assert loop.problem == "answered 500"
    reply = Reply(204)
    assert await loop.beat() == 300.0
    assert loop.problem == ""
    assert asked == [BEAT.url.reveal()] * 3
