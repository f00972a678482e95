"""Formats an overview: as text for people, as JSON for programs. Pure."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from mirrord.cli.show.overview import Overview
from mirrord.model import State
from mirrord.status import (
    BreakerStatus,
    FileStatus,
    FolderStatus,
    ItemStatus,
    ListStatus,
    Progress,
    ProxyStatus,
    ReceiverStatus,
)
from mirrord.units import format_duration, format_size
from mirrord.web.as_json import Json, as_json

_BAR = 20  # characters


RUNNING = "running"


class StatusSection(NamedTuple):
    """A title and what belongs to it. Not a `problem`: no action is needed."""

    title: str
    lines: list[str]
    problem: bool = True


def lines(shown: Overview, now: float) -> Iterator[str]:
    """`now` in seconds since the epoch."""
    yield from head(shown, now)
    for title, content, _ in sections(shown, now):
        yield f"{title}:"
        yield from (f"  {line}" for line in content)


def head(shown: Overview, now: float) -> tuple[str, str]:
    """Where the status is from, and the totals."""
    return _heading(shown, now), _totals(shown)


def sections(shown: Overview, now: float) -> Iterator[StatusSection]:
    """What there is to say, without empty sections."""
    return (one for one in _sections(shown, now) if one.lines)


def _sections(shown: Overview, now: float) -> Iterator[StatusSection]:
    yield StatusSection(RUNNING, [_running(one) for one in shown.status.running], problem=False)
    failed = any(one.state in (State.BLOCKED, State.RETRYING) for one in shown.left)
    yield StatusSection("not in sync", [*(_left(one, now) for one in shown.left), *_more(shown)], failed)
    yield StatusSection("manifests", [line for one in shown.status.files for line in _file(one)])
    yield StatusSection("folders", [line for one in shown.status.folders for line in _folder(one)])
    yield StatusSection("lists", [line for one in shown.status.lists for line in _list(one)])
    yield StatusSection("stale", [*shown.status.stale, *_more_stale(shown)])
    receivers = shown.status.receivers
    failed = any(one.problem or one.dead or one.dropped for one in receivers)
    yield StatusSection("webhooks and heartbeats", [_receiver(one) for one in receivers], failed)
    yield StatusSection("stores", [f"{name}: the last call was not answered" for name in _silent(shown)])
    held = [_breaker(one, now) for one in shown.status.breakers if one.since is not None]
    yield StatusSection("stores and hosts whose items are held back", held)
    yield StatusSection("stores and hosts that refused calls", list(_at_once(shown)))
    yield StatusSection(
        "proxies", [_proxy(one) for one in shown.status.proxies], any(one.problem for one in shown.status.proxies)
    )
    workers = [f"pid {one.pid} on {one.host}, {one.slots} checks at a time" for one in shown.status.workers]
    yield StatusSection("workers", workers, problem=False)
    yield StatusSection("stores that do otherwise than asked", list(shown.status.learned), problem=False)
    yield StatusSection("buckets", list(shown.status.differences))
    yield StatusSection("defaults that are not enforced yet", list(shown.status.not_enforced), problem=False)


def in_json(shown: Overview) -> Json:
    """The form that docs/commands.md documents: the same keys with a daemon and without."""
    status = shown.status
    daemon = {
        "url": shown.url,
        "pid": status.pid,
        "version": status.version,
        "started": status.started,
        "not_ready": status.not_ready,
    }
    return as_json(
        {
            "daemon": daemon if shown.url else None,
            "journal": shown.journal or None,
            "last_written": shown.last_written,
            "totals": status.totals,
            "running": status.running,
            "left": shown.left,
            "files": status.files,
            "folders": status.folders,
            "lists": status.lists,
            "receivers": status.receivers,
            "stale": status.stale,
            "stale_items": status.stale_items,
            "stores": status.stores,
            "calls_at_once": status.calls_at_once,
            "breakers": status.breakers,
            "proxies": status.proxies,
            "workers": status.workers,
            "differences": status.differences,
            "learned": status.learned,
            "not_enforced": status.not_enforced,
        }
    )


def _heading(shown: Overview, now: float) -> str:
    status = shown.status
    if shown.url:
        ready = f"not ready: {status.not_ready}" if status.not_ready else "ready"
        up = format_duration(max(0.0, now - status.started))
        return f"mirrord {status.version} (pid {status.pid}) at {shown.url}, up {up}, {ready}"
    if shown.last_written is None:
        return f"{shown.why}, and there is no journal {shown.journal} yet"
    written = datetime.fromtimestamp(shown.last_written, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"{shown.why}; the journal {shown.journal} was last written {written}, {_ago(shown.last_written, now)}"


def _totals(shown: Overview) -> str:
    totals = shown.status.totals
    counted = [f"{totals[state]:,} {state.value}" for state in State if totals.get(state)]
    return f"items: {', '.join(counted) or 'none'}"


def _running(one: Progress) -> str:
    moved = min(one.bytes_read, one.bytes_sent)
    rate = f"{format_size(one.rate)}/s"
    again = f", attempt {one.attempt}" if one.attempt > 1 else ""
    again += f"; {one.message}" if one.message else ""
    if not one.size:
        return f"{one.destination}  {format_size(moved)} at {rate}{again}"
    share = min(1.0, moved / one.size)
    bar = ("#" * round(share * _BAR)).ljust(_BAR, "-")
    return f"{one.destination}  [{bar}] {share:4.0%} of {format_size(one.size)} at {rate}{again}"


def _left(one: ItemStatus, now: float) -> str:
    reason = f" {one.reason.value}" if one.reason else ""
    message = f": {one.message}" if one.message else ""
    since = f"  since {_ago(one.since, now)}" if one.since else ""
    later = one.next_check
    again = f", next try in {format_duration(later - now)}" if later is not None and later > now else ""
    return f"{one.state.value}{reason}  {one.destination}{message}{since}{again}"


def _more(shown: Overview) -> Iterator[str]:
    quiet = {State.SYNCED, State.TRANSFERRING}
    more = sum(count for state, count in shown.status.totals.items() if state not in quiet) - len(shown.left)
    if more > 0:
        yield f"and {more:,} more"


def _file(one: FileStatus) -> Iterator[str]:
    if one.valid:
        return
    yield f"{one.file}: invalid; " + (
        "its last good version is in force" if one.in_force else "nothing of it is in force"
    )
    yield from (f"  {problem}" for problem in one.problems)


def _folder(one: FolderStatus) -> Iterator[str]:
    if one.problem or not one.complete:
        yield f"{one.path}: {one.problem or 'could not be read wholly'}"
    if one.left_out:
        yield f"{one.path}: left: {', '.join(map(str, one.left_out))}"


def _list(one: ListStatus) -> Iterator[str]:
    if not one.complete and one.faults:
        yield f"{one.source}: incomplete, nothing leaves because of it"
        yield from (f"  {fault}" for fault in one.faults)


def _more_stale(shown: Overview) -> Iterator[str]:
    if (more := shown.status.stale_items - len(shown.status.stale)) > 0:
        yield f"and {more:,} more"


def _receiver(one: ReceiverStatus) -> str:
    counts = [f"{one.waiting:,} waiting"] if one.kind == "webhook" else ["heartbeat"]
    counts += [f"{one.dead:,} given up"] if one.dead else []
    counts += [f"{one.dropped:,} dropped"] if one.dropped else []
    return f"{one.name}  {', '.join(counts)}" + (f": {one.problem}" if one.problem else "")


def _proxy(one: ProxyStatus) -> str:
    policy = f", network policy: {one.network_policy}" if one.network_policy else ""
    return f"{one.proxy}  for {one.used_by}{policy}" + (f"; it failed: {one.problem}" if one.problem else "")


def _silent(shown: Overview) -> list[str]:
    return sorted(name for name, answers in shown.status.stores.items() if not answers)


def _breaker(one: BreakerStatus, now: float) -> str:
    since = f" for {format_duration(max(0.0, now - one.since))}" if one.since is not None else ""
    again = f", next try in {format_duration(max(0.0, one.next_try - now))}" if one.next_try is not None else ""
    waiting = f", {one.waiting:,} item{'s' * (one.waiting != 1)} waiting" if one.waiting else ""
    return f"{one.name}: breaker {one.state}{since}{again}{waiting}: {one.error}"


def _at_once(shown: Overview) -> Iterator[str]:
    for name, most in shown.status.calls_at_once.items():
        yield f"{name}: at most {most:,} call{'s' * (most > 1)} at once now"


def _ago(then: float, now: float) -> str:
    return f"{format_duration(max(0.0, now - then))} ago"
