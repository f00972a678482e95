"""What can be known of a state without its daemon: where it is, whether a daemon runs, and what the journal says.

Owns the reading for commands that only look. Resolves no `${…}` of a manifest but those of its `daemon:` block, takes
no lock and writes nothing.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from mirrord._version import __version__
from mirrord.engine.daemon_block import daemon_settings
from mirrord.engine.wiring import read_journal
from mirrord.errors import ManifestError, Problem
from mirrord.manifest.discover import discover
from mirrord.manifest.load import daemon_of
from mirrord.manifest.load import read as content_of
from mirrord.manifest.schema.document import DaemonSection
from mirrord.manifest.schema.not_yet import not_enforced
from mirrord.model import State
from mirrord.settings import Settings, default_config, resolve
from mirrord.status import ItemStatus, Status


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where the state is. `problems`: of files whose `daemon:` block, if they have one, could not be read."""

    settings: Settings
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Recorded:
    """The journal at one moment. `left`: items that are not in sync, the worst first, up to a limit."""

    status: Status
    left: tuple[ItemStatus, ...]
    last_written: float | None


WORST_FIRST = (State.BLOCKED, State.RETRYING, State.WAITING, State.PENDING, State.SUSPENDED)
"""States that are not in sync, in the order in which people want to see them."""


def whereabouts(config: str | None, state: str | None, environ: Mapping[str, str]) -> Whereabouts:
    """Where the state of these manifests is: `state` and $MIRRORD_STATE win over them.

    Raises PathMissing for a `config` that does not exist, ValueError for a `state` that names none.
    """
    path = config or default_config(environ)
    if state or environ.get("MIRRORD_STATE") or not (config or os.path.exists(path)):
        return Whereabouts(resolve({"state": state}, environ, {}))
    block, problems = _daemon_block(path, environ)
    if block is not None:
        return Whereabouts(resolve({}, environ, daemon_settings(block)))
    return Whereabouts(resolve({}, environ, {}), problems)


def _daemon_block(path: str, environ: Mapping[str, str]) -> tuple[DaemonSection | None, tuple[Problem, ...]]:
    """The one `daemon:` block of the files at `path`, and what is wrong with files that may have had it."""
    problems: list[Problem] = []
    for file in discover([path]):
        try:
            block = daemon_of(file, content_of(file), environ)
        except ManifestError as error:
            problems += error.problems
            continue
        if block is not None:
            return block, ()
    return None, tuple(problems)


async def recorded(settings: Settings, limit: int) -> Recorded:
    """What the journal says, with at most `limit` items that are not in sync. Raises JournalError and its children."""
    async with read_journal(settings) as journal:
        left: list[ItemStatus] = []
        for state in WORST_FIRST:
            if len(left) < limit:
                left += map(ItemStatus.of, await journal.page(state=state, limit=limit - len(left)))
        status = Status(
            version=__version__, pid=0, started=0.0, totals=await journal.totals(), not_enforced=not_enforced()
        )
        return Recorded(status, tuple(left), await journal.last_written())
