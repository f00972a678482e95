"""One observer for many: each event goes to every subscriber, in order. An error of a subscriber never reaches the
core."""

import logging
from collections.abc import Iterable

from mirrord.events import Event
from mirrord.ports import Observer

_log = logging.getLogger(__name__)


class Observers:
    """Passes each event on. The first error of a subscriber is logged; it still gets the next event."""

    def __init__(self, observers: Iterable[Observer]) -> None:
        self._observers = tuple(observers)
        self._reported: set[int] = set()

    def add(self, *observers: Observer) -> None:
        """Add subscribers. They get the next event and all later ones."""
        self._observers += observers

    def __call__(self, event: Event) -> None:
        for position, observer in enumerate(self._observers):
            try:
                observer(event)
            except Exception:  # noqa: BLE001 - an error of a subscriber must not stop the transfer
                if position not in self._reported:
                    self._reported.add(position)
                    _log.exception("a subscriber failed on %s: %r", event.name, observer)


def unobserved(event: Event) -> None:
    """An observer that drops every event."""
