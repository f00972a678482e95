"""The data of `status`: from the running daemon, else from the journal.

Owns the choice between the two, and what is read from each. `show_status` formats it.
"""

from mirrord.cli.daemon_address import own_token
from mirrord.daemon.presence import running_daemon
from mirrord.errors import DaemonRefused, NoDaemon
from mirrord.frozen import frozen
from mirrord.programs.offline import WORST_FIRST, StateLocation, recorded
from mirrord.status import ItemStatus, Status


@frozen(kw_only=True)
class Overview:
    """The status at one moment. `url` is the daemon's; empty: no daemon answered, and the journal is the source.

    `left` has at most as many items as requested; `why` gives the reason why the journal was read.
    """

    status: Status
    left: tuple[ItemStatus, ...]
    url: str = ""
    why: str = ""
    journal: str = ""
    last_written: float | None = None


async def overview(url: str | None, location: StateLocation, limit: int) -> Overview:
    """The status from the daemon at `url`, else from the daemon of the state, else from the journal.

    Raises NoDaemon and DaemonRefused only for a given `url`, and JournalError and its children.
    """
    if url is not None:
        return await _of_daemon(url, limit)
    daemon = running_daemon(location.settings.directory)
    why = "no daemon runs here"
    if daemon is not None and not daemon.url:
        why = f"the daemon (pid {daemon.pid}) has no HTTP server (daemon.listen: none)"
    elif daemon is not None:
        try:
            from_daemon = await _of_daemon(daemon.url, limit)
        except (NoDaemon, DaemonRefused) as error:
            why = f"{error} (daemon.json names pid {daemon.pid})"
        else:
            if from_daemon.status.pid == daemon.pid:
                return from_daemon
            why = f"no daemon runs here ({daemon.url} is that of another, pid {from_daemon.status.pid})"
    journal = await recorded(location.settings, limit)
    return Overview(
        status=journal.status,
        left=journal.left,
        why=why,
        journal=location.settings.journal,
        last_written=journal.last_written,
    )


async def _of_daemon(url: str, limit: int) -> Overview:
    from mirrord.cli.api_client import ApiClient  # only where a daemon runs: the HTTP client takes 0.1 s

    async with ApiClient(url, own_token()) as api:
        status = await api.status()
        left: list[ItemStatus] = []
        for state in WORST_FIRST:
            if len(left) < limit and status.totals.get(state):
                page = await api.items(state=state, limit=limit - len(left))
                left += page.items
        return Overview(status=status, left=tuple(left), url=api.url)
