"""Passes those events to the outbox that do not follow from a record alone: failed transfers, drift, bad manifests.

Owns their data. All other notifications are made in the commit that changes the record
(`planning.notifications.changes`); these join the next commit of the record, or are written within a second.
"""

from uuid import uuid4

from mirrord.events import Event, ItemChanged, ItemDrifted, ManifestRejected, TransferFailed
from mirrord.model import Item, Notice, Notification, State
from mirrord.planning.notifications.changes import as_data, item_data
from mirrord.ports import Clock, JournalOutbox


class Announcer:
    """`ports.Observer`. An item's drift is announced once, until the item is Synced again."""

    def __init__(self, outbox: JournalOutbox, clock: Clock) -> None:
        self._outbox = outbox
        self._clock = clock
        self._drifted: set[str] = set()

    def __call__(self, event: Event) -> None:
        match event:
            case TransferFailed(item=item):
                self._about(
                    Notice.TRANSFER_FAILED,
                    item,
                    reason=event.reason.value,
                    message=event.message,
                    transfer_id=event.transfer_id,
                    kind=event.kind.value if event.kind else None,
                    attempt=event.attempt,
                    retry_in_s=event.retry_in,
                )
            case ItemDrifted(item=item) if item.id not in self._drifted:
                self._drifted.add(item.id)
                self._about(Notice.ITEM_DRIFTED, item, message=event.message)
            case ItemChanged(item=item, state=State.SYNCED):
                self._drifted.discard(item.id)
            case ManifestRejected():
                self.rejected(event)

    def rejected(self, event: ManifestRejected) -> None:
        """Announce the rejection of a manifest."""
        problems = [str(problem) for problem in event.problems]
        self._announce(Notice.MANIFEST_REJECTED, event.file, event.file, {"file": event.file, "problems": problems})

    def _about(self, name: Notice, item: Item, **more: object) -> None:
        data = item_data(item.id, item.entry, item.shown_source, item.destination, **more)
        self._announce(name, item.id, str(item.destination), data)

    def _announce(self, name: Notice, about: str, subject: str, data: dict[str, object]) -> None:
        self._outbox.announce(
            Notification(
                id=str(uuid4()), name=name, about=about, subject=subject, time=self._clock.now(), data=as_data(data)
            )
        )
