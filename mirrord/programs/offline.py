"""The state without its daemon: where it is, and what the journal recorded.

For commands that only read: takes no lock and writes nothing. Of a manifest it resolves only the `${…}` of the
`daemon:` block.
"""

import os
import time
from collections.abc import Mapping

from mirrord._version import __version__
from mirrord.engine.daemon_block import daemon_settings
from mirrord.engine.read_only_journal import ReadOnlyJournal, read_journal
from mirrord.errors import ManifestError, Problem
from mirrord.frozen import frozen
from mirrord.manifest.discover import discover
from mirrord.manifest.load import daemon_of
from mirrord.manifest.load import read as content_of
from mirrord.manifest.schema.document import DaemonSection
from mirrord.manifest.schema.not_yet import not_enforced
from mirrord.model import OutboxCounts, State
from mirrord.ports.learned import learned_texts
from mirrord.settings import Settings, default_config, resolve
from mirrord.status import MOST_STALE, ItemStatus, ReceiverStatus, Status


@frozen
class StateLocation:
    """Where the state is. `problems`: those of files whose `daemon:` block, if any, could not be read."""

    settings: Settings
    problems: tuple[Problem, ...] = ()


@frozen
class Recorded:
    """The journal at one moment. `left`: items that are not in sync, in the order of WORST_FIRST, up to a limit."""

    status: Status
    left: tuple[ItemStatus, ...]
    last_written: float | None


_PAGE = 500
WORST_FIRST = (State.BLOCKED, State.RETRYING, State.WAITING, State.PENDING, State.SUSPENDED)
"""States that are not in sync, in the order in which they are shown."""


def locate_state(config: str | None, state: str | None, environ: Mapping[str, str]) -> StateLocation:
    """Where the state of these manifests is; `state` and $MIRRORD_STATE override the manifests.

    Raises PathMissing for a `config` that does not exist, ValueError for an invalid `state`.
    """
    path = config or default_config(environ)
    if state or environ.get("MIRRORD_STATE") or not (config or os.path.exists(path)):
        return StateLocation(resolve({"state": state}, environ, {}))
    block, problems = _daemon_block(path, environ)
    if block is not None:
        return StateLocation(resolve({}, environ, daemon_settings(block)))
    return StateLocation(resolve({}, environ, {}), problems)


def _daemon_block(path: str, environ: Mapping[str, str]) -> tuple[DaemonSection | None, tuple[Problem, ...]]:
    """The `daemon:` block of the files at `path`; without one, the problems of files that may contain it."""
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


def _receiver(receiver: str, counts: OutboxCounts) -> ReceiverStatus:
    """The journal does not have the URL."""
    return ReceiverStatus(
        id=receiver,
        name=f"webhook {receiver}",
        kind="webhook",
        waiting=counts.waiting,
        dead=counts.dead,
        dropped=counts.dropped,
        problem=counts.error,
    )


async def _stale_objects(journal: ReadOnlyJournal) -> list[str]:
    """The objects of all stale items, in order."""
    item_ids, found = list(await journal.outbox.stale()), list[str]()
    for start in range(0, len(item_ids), _PAGE):
        records = await journal.recorded(item_ids[start : start + _PAGE])
        found += [str(one.destination) for one in records.values()]
    return sorted(found)


async def recorded(settings: Settings, limit: int) -> Recorded:
    """The journal's content, with at most `limit` items that are not in sync. Raises JournalError and its children."""
    async with read_journal(settings) as journal:
        left: list[ItemStatus] = []
        for state in WORST_FIRST:
            if len(left) < limit:
                left += map(ItemStatus.of, await journal.page(state=state, limit=limit - len(left)))
        stale = await _stale_objects(journal)
        status = Status(
            version=__version__,
            pid=0,
            started=0.0,
            totals=await journal.totals(),
            receivers=tuple(_receiver(*one) for one in (await journal.outbox.counts()).items()),
            stale=tuple(stale[:MOST_STALE]),
            stale_items=len(stale),
            learned=await learned_texts(journal, time.time()),
            not_enforced=not_enforced(),
        )
        return Recorded(status, tuple(left), await journal.last_written())
