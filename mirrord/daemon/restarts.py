"""Reports settings of the `daemon:` block that changed and need a restart: once for each change.

Owns the names of the settings as they are written in a manifest. Does not apply them.
"""

from collections.abc import Callable
from dataclasses import fields
from logging import getLogger

from mirrord.manifest.schema.document import DaemonSection
from mirrord.settings import Settings

_log = getLogger(__name__)

_WRITTEN = {
    "database": "state",
    "log_format": "log.format",
    "log_level": "log.level",
    "per_host_connections": "per_host.connections",
    "network_allow": "network.allow",
}


_AT_ONCE = ("bandwidth", "per_host_requests_per_second")
"""Settings that apply to what runs."""


class Restarts:
    """`wanted` returns the settings that a start with this block would use: flags and variables override the block."""

    def __init__(self, wanted: Callable[[DaemonSection], Settings]) -> None:
        self._wanted = wanted
        self._running: Settings | None = None
        self._reported: Settings | None = None

    def compare(self, block: DaemonSection) -> Settings:
        """The settings that this block asks for. Those that need a restart are reported, unless they were already.

        The first call gives the block that the process was started with."""
        wanted = self._wanted(block)
        if self._running is None:
            self._running = wanted
        names = [f"daemon.{_WRITTEN.get(name, name)}" for name in _differing(self._running, wanted)]
        if names and wanted != self._reported:
            _log.warning("changed in the manifests, and in force only after a restart: %s", ", ".join(names))
        self._reported = wanted
        return wanted


def _differing(one: Settings, other: Settings) -> list[str]:
    names = (field.name for field in fields(Settings) if field.name not in _AT_ONCE)
    return [name for name in names if getattr(one, name) != getattr(other, name)]
