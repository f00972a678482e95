"""What `status` shows: the daemon's own word where one runs, else what the journal recorded.

Owns the choice between the two, and what is fetched of each. How it reads is `show_status`'s.
"""

from dataclasses import dataclass

from mirrord.cli.api_client import ApiClient
from mirrord.daemon.presence import found
from mirrord.errors import NoDaemon
from mirrord.programs.offline import WORST_FIRST, Whereabouts, recorded
from mirrord.status import ItemStatus, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The whole at one moment. `url` is the daemon's; empty: none answered, and this is what the journal says.

    `left` holds at most as many items as were asked for; `why` says why no daemon was asked.
    """

    status: Status
    left: tuple[ItemStatus, ...]
    url: str = ""
    why: str = ""
    journal: str = ""
    last_written: float | None = None


async def overview(url: str | None, place: Whereabouts, limit: int) -> Overview:
    """Ask the daemon at `url`, else the one that runs on the state, else read the journal.

    Raises NoDaemon and DaemonRefused only for a `url` that was named, JournalError and its children.
    """
    if url is not None:
        return await _of_daemon(url, limit)
    daemon = found(place.settings.directory)
    why = "no daemon runs here"
    if daemon is not None and not daemon.url:
        why = f"the daemon (pid {daemon.pid}) listens nowhere (daemon.listen: none)"
    elif daemon is not None:
        try:
            asked = await _of_daemon(daemon.url, limit)
        except NoDaemon as error:
            why = f"{error} (daemon.json names pid {daemon.pid})"
        else:
            if asked.status.pid == daemon.pid:
                return asked
            why = f"no daemon runs here ({daemon.url} is that of another, pid {asked.status.pid})"
    journal = await recorded(place.settings, limit)
    return Overview(
        status=journal.status,
        left=journal.left,
        why=why,
        journal=str(place.settings.state),
        last_written=journal.last_written,
    )


async def _of_daemon(url: str, limit: int) -> Overview:
    async with ApiClient(url) as api:
        status = await api.status()
        left: list[ItemStatus] = []
        for state in WORST_FIRST:
            if len(left) < limit and status.totals.get(state):
                page = await api.items(state=state, limit=limit - len(left))
                left += page.items
        return Overview(status=status, left=tuple(left), url=api.url)
