"""Which receivers want which events, and the notifications that wait for the next commit. No I/O.

Owns what every journal keeps in memory for its outbox. At most `MOST_ANNOUNCED` notifications wait.
"""

from collections.abc import Iterator, Mapping, Sequence
from uuid import uuid4

from mirrord.model import Notice, Notification
from mirrord.planning.notifications.changes import RecordChange, notification_of

MOST_ANNOUNCED = 10_000


class Announced:
    """`receivers` by name, each with its events; announced notifications by what they are about."""

    def __init__(self) -> None:
        self.receivers: Mapping[str, frozenset[Notice]] = {}
        self._waiting: dict[str, list[Notification]] = {}
        self._count = 0

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def receivers_of(self, name: Notice) -> list[str]:
        """The receivers that want this event."""
        return [receiver for receiver, names in self.receivers.items() if name in names]

    def add(self, notification: Notification) -> None:
        """Let it wait, if any receiver wants it."""
        if self._count < MOST_ANNOUNCED and self.receivers_of(notification.name):
            self._waiting.setdefault(notification.about, []).append(notification)
            self._count += 1

    def take(self, about: str | None = None) -> list[Notification]:
        """Those about one thing, None: all, in their order. They no longer wait."""
        if about is None:
            taken, self._waiting = [one for some in self._waiting.values() for one in some], {}
        else:
            taken = self._waiting.pop(about, [])
        self._count -= len(taken)
        return taken

    def put_back(self, taken: Sequence[Notification]) -> None:
        """They were not written: they wait again, before what was announced meanwhile."""
        for one in reversed(taken):
            self._waiting.setdefault(one.about, []).insert(0, one)
        self._count += len(taken)

    def caused_by(self, change: RecordChange, now: float) -> Iterator[Notification]:
        """The events of the change of a record that any receiver wants. Before them is written what was announced of
        its item (`take`)."""
        for name in change.notices():
            if self.receivers_of(name):
                yield notification_of(change.after, name, str(uuid4()), now)
