"""Sends the outbox to one receiver: at least once, and in order for each item.

Owns the loop. `planning.notifications.delivery` decides what follows each reply; the outbox keeps the order. A receiver
that does not accept anything is asked with one notification at a time. Each receiver has its own loop, so that a slow
one does not delay the others. If the process ends before a reply is recorded, the notification is sent again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from logging import getLogger
from random import random

from mirrord.declared import Webhook
from mirrord.errors import JournalError
from mirrord.model import OutboxRow, revealed
from mirrord.notify.message import message
from mirrord.planning.notifications.delivery import Reply, probe_in, retry_at
from mirrord.planning.notifications.receivers import key_of
from mirrord.ports import Clock, JournalOutbox

_log = getLogger(__name__)

AT_ONCE = 8
"""Requests to one receiver at a time."""
LOOK_EVERY = 1.0
"""Seconds between two looks at an empty outbox."""
AFTER_JOURNAL_ERROR = 10.0
"""Seconds."""

Post = Callable[[str, Mapping[str, str], bytes], Awaitable[Reply]]


@dataclass(slots=True, kw_only=True)
class Sender:
    """Sends to one webhook. `source`: the URI of this mirrord."""

    webhook: Webhook
    source: str
    outbox: JournalOutbox
    post: Post
    clock: Clock
    chance: Callable[[], float] = random  # uniform in [0, 1)
    problem: str = field(default="", init=False)
    """Why the last attempt failed; empty: it was accepted."""
    _failures: int = field(default=0, init=False)  # rounds in a row in which nothing was accepted

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            try:
                wait = await self.send_due()
            except JournalError as error:
                _log.error("notifications for %s wait: %s", self.webhook.shown, error)
                wait = AFTER_JOURNAL_ERROR
            if wait:
                await self.clock.sleep(wait)

    async def send_due(self) -> float:
        """Send what is due, some at a time; returns the seconds after which to look again."""
        rows = await self.outbox.due(self.webhook.id, self.clock.now(), 1 if self._failures else AT_ONCE)
        if not rows:
            return LOOK_EVERY
        replies = await asyncio.gather(*(self._send(row) for row in rows))
        await self.outbox.delivered([row for row, reply in zip(rows, replies, strict=True) if reply.accepted])
        for row, reply in zip(rows, replies, strict=True):
            if not reply.accepted:
                await self._failed(row, reply)
        return self._pause(replies)

    async def _send(self, row: OutboxRow) -> Reply:
        hook = self.webhook
        key = None if hook.secret is None else key_of(hook.secret)
        made = message(row, self.source, key, self.clock.now())
        return await self.post(hook.url.reveal(), {**revealed(hook.headers), **made.headers}, made.body)

    async def _failed(self, row: OutboxRow, reply: Reply) -> None:
        notification, now, failures = row.notification, self.clock.now(), row.attempts + 1
        again = retry_at(reply, failures, notification.time, now, self.chance())
        if again is not None:
            await self.outbox.postponed(row, again)
            return
        await self.outbox.dead(row, str(reply))
        _log.error(
            "%s of %s is given up after %d attempts: %s %s",
            notification.name,
            notification.subject,
            failures,
            self.webhook.shown,
            reply,
        )

    def _pause(self, replies: Sequence[Reply]) -> float:
        """Seconds until the next round; 0: at once."""
        failed = [reply for reply in replies if not reply.accepted]
        problem = str(failed[0]) if failed else ""
        if problem and not self.problem:
            _log.warning("%s does not accept a notification: %s", self.webhook.shown, problem)
        elif self.problem and not problem:
            _log.warning("%s accepts notifications again", self.webhook.shown)
        self.problem = problem
        if len(failed) < len(replies) or any(reply.is_final for reply in failed):
            self._failures = 0
            return 0.0
        self._failures += 1
        return max(probe_in(reply, self._failures, self.chance()) for reply in failed)
