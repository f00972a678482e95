"""The webhooks and heartbeats of the manifests in force: one task for each, and what the status shows of them.

Owns which of them run. A reload changes them: what waits for a webhook that left, or has another URL, is deleted.
"""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from logging import getLogger

from mirrord.aio import finish
from mirrord.daemon.announcer import Announcer
from mirrord.daemon.supervise import Supervisor
from mirrord.declared import Heartbeat, Webhook
from mirrord.errors import JournalError
from mirrord.events import ManifestRejected
from mirrord.manifest.schema.document import DaemonSection
from mirrord.model import OutboxCounts
from mirrord.notify.client import WebhookClient
from mirrord.notify.heartbeat import HeartbeatLoop
from mirrord.notify.sender import Sender
from mirrord.planning.notifications.receivers import heartbeats_of, webhooks_of
from mirrord.ports import Clock, JournalOutbox
from mirrord.status import FileStatus, ReceiverStatus
from mirrord.telemetry.fanout import Observers

_log = getLogger(__name__)

FLUSH_EVERY = 1.0
"""Seconds within which an announced notification is written, if no change of a record came first."""


@dataclass(slots=True, kw_only=True)
class Notifications:
    """`await apply(block, files)` after each change of the manifests. `healthy`: heartbeats may be sent."""

    outbox: JournalOutbox
    client: WebhookClient
    supervisor: Supervisor
    observers: Observers
    clock: Clock
    healthy: Callable[[], bool]
    _senders: dict[str, Sender] = field(default_factory=dict, init=False)
    _heartbeats: dict[str, HeartbeatLoop] = field(default_factory=dict, init=False)
    _announcer: Announcer | None = field(default=None, init=False)

    async def apply(self, block: DaemonSection, files: Sequence[FileStatus]) -> None:
        """Make what runs equal to the block in force. While the journal fails, the former webhooks stay. While a file
        has no version in force, it may have the webhooks of what waits."""
        webhooks, unknown = webhooks_of(block), not all(file.in_force for file in files)
        try:
            await self.outbox.send_to({one.id: one.notices for one in webhooks.values()}, keep=unknown)
        except JournalError as error:
            _log.error("webhooks stay as they were: %s", error)
        else:
            self._announce(files, used=bool(webhooks))
            await self._replace_webhooks(webhooks)
        await self._replace_heartbeats(heartbeats_of(block))

    async def statuses(self) -> tuple[ReceiverStatus, ...]:
        """Each webhook, then each heartbeat. Raises JournalError."""
        counts = await self.outbox.counts() if self._senders else {}
        shown = [_webhook(one, counts.get(receiver, OutboxCounts())) for receiver, one in self._senders.items()]
        beats = (
            ReceiverStatus(id=receiver, name=one.heartbeat.shown, kind="heartbeat", problem=one.problem)
            for receiver, one in self._heartbeats.items()
        )
        return (*shown, *beats)

    def _announce(self, files: Sequence[FileStatus], *, used: bool) -> None:
        """Observe events from the first webhook on: without one, nobody pays for it. A manifest that was bad before is
        announced then."""
        if self._announcer is not None or not used:
            return
        self._announcer = announcer = Announcer(self.outbox, self.clock)
        self.observers.add(announcer)
        for file in files:
            if file.problems:
                announcer.rejected(ManifestRejected(file=file.file, problems=file.problems))
        self.supervisor.start("announcements", self._flush)

    async def _flush(self) -> None:
        try:
            while True:
                try:
                    await self.outbox.flush()
                except JournalError as error:
                    _log.error("notifications were not written: %s", error)
                await self.clock.sleep(FLUSH_EVERY)
        finally:
            await finish(self.outbox.flush())

    async def _replace_webhooks(self, webhooks: dict[str, Webhook]) -> None:
        running = {receiver: one.webhook for receiver, one in self._senders.items()}
        for receiver in [one for one in running if webhooks.get(one) != running[one]]:
            await self.supervisor.stop(f"webhook {receiver}")
            del self._senders[receiver]
        for receiver, webhook in webhooks.items():
            if receiver not in self._senders:
                sender = self._senders[receiver] = self._sender(webhook)
                self.supervisor.start(f"webhook {receiver}", sender.run)

    async def _replace_heartbeats(self, heartbeats: dict[str, Heartbeat]) -> None:
        running = {receiver: one.heartbeat for receiver, one in self._heartbeats.items()}
        for receiver in [one for one in running if heartbeats.get(one) != running[one]]:
            await self.supervisor.stop(f"heartbeat {receiver}")
            del self._heartbeats[receiver]
        for receiver, heartbeat in heartbeats.items():
            if receiver not in self._heartbeats:
                loop = HeartbeatLoop(heartbeat=heartbeat, healthy=self.healthy, get=self.client.get, clock=self.clock)
                self._heartbeats[receiver] = loop
                self.supervisor.start(f"heartbeat {receiver}", loop.run)

    def _sender(self, webhook: Webhook) -> Sender:
        source = f"//{socket.gethostname()}/mirrord"
        return Sender(webhook=webhook, source=source, outbox=self.outbox, post=self.client.post, clock=self.clock)


def _webhook(sender: Sender, counts: OutboxCounts) -> ReceiverStatus:
    return ReceiverStatus(
        id=sender.webhook.id,
        name=sender.webhook.shown,
        kind="webhook",
        waiting=counts.waiting,
        dead=counts.dead,
        dropped=counts.dropped,
        problem=sender.problem or counts.error,
    )
