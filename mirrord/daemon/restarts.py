"""What the `daemon:` block asks for and a running process does not take up: said once, until it asks for other things.

Owns the names of the settings, as they are written in a manifest. Changes nothing: a restart does.
"""

from collections.abc import Callable
from dataclasses import fields
from logging import getLogger

from mirrord.manifest.schema.document import DaemonSection
from mirrord.settings import Settings

_log = getLogger(__name__)

_WRITTEN = {
    "log_format": "log.format",
    "log_level": "log.level",
    "per_host_connections": "per_host.connections",
}


class Restarts:
    """`wanted` gives what a start with this block would run with: flags and variables win over it."""

    def __init__(self, wanted: Callable[[DaemonSection], Settings]) -> None:
        self._wanted = wanted
        self._running: Settings | None = None
        self._said: Settings | None = None

    def compare(self, block: DaemonSection) -> None:
        """Say which settings of the block in force need a restart, unless that was said already. The first block is
        the one that the process was started with."""
        wanted = self._wanted(block)
        if self._running is None:
            self._running = wanted
        names = [f"daemon.{_WRITTEN.get(name, name)}" for name in _differing(self._running, wanted)]
        if names and wanted != self._said:
            _log.warning("changed in the manifests, and in force only after a restart: %s", ", ".join(names))
        self._said = wanted


def _differing(one: Settings, other: Settings) -> list[str]:
    names = (field.name for field in fields(Settings))
    return [name for name in names if getattr(one, name) != getattr(other, name)]
