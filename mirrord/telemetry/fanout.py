"""One observer for many: each event goes to every subscriber, in order, and none of them can break the core."""

import logging
from collections.abc import Iterable

from mirrord.events import Event
from mirrord.ports import Observer

_log = logging.getLogger(__name__)


class Observers:
    """Passes each event on. A subscriber that raises is reported once and called again with the next event."""

    def __init__(self, observers: Iterable[Observer]) -> None:
        self._observers = tuple(observers)
        self._reported: set[int] = set()

    def add(self, *observers: Observer) -> None:
        """More subscribers, from the next event on."""
        self._observers += observers

    def __call__(self, event: Event) -> None:
        for place, observer in enumerate(self._observers):
            try:
                observer(event)
            except Exception:  # noqa: BLE001 - a broken sink must not break the transfer that it watches
                if place not in self._reported:
                    self._reported.add(place)
                    _log.exception("a subscriber failed on %s: %r", event.name, observer)
