"""The history of an item as text."""

from collections.abc import Iterator
from datetime import UTC, datetime

from mirrord.status import HistoryEntry, ItemHistory
from mirrord.units import format_duration, format_size


def history_lines(shown: ItemHistory) -> Iterator[str]:
    """A heading, then for each entry a line, and one with its details."""
    yield f"{shown.destination} ({shown.id})"
    if not shown.entries:
        yield "  nothing was recorded yet"
    for entry in shown.entries:
        yield f"  {_time(entry.when)}  {_what(entry)}"
        if details := ", ".join(_details(entry)):
            yield f"      {details}"
    if shown.problem:
        yield f"  the versions at the store are not shown: {shown.problem}"


def _time(when: float | None) -> str:
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d %H:%M:%SZ") if when is not None else "unknown time"


def _what(entry: HistoryEntry) -> str:
    if entry.outcome == "failed":
        kind = " ".join(one for one in (entry.state, entry.reason) if one)
        return f"{kind}: {entry.message}"
    parts = [entry.outcome]
    if entry.size is not None:
        parts.append(format_size(entry.size))
    if entry.version_id is not None:
        parts.append(f"version {entry.version_id}")
    if entry.restored is not None:
        parts.append(f"restored from version {entry.restored}")
    if entry.duration is not None:
        parts.append(f"in {format_duration(entry.duration)}")
    if entry.until is not None:
        parts.append(f"until {_time(entry.until)}")
    return "  ".join(parts)


def _details(entry: HistoryEntry) -> Iterator[str]:
    if entry.source:
        yield entry.source
    yield from (f"{name} {value}" for name, value in entry.revision.items() if name != "length")
    integrity = entry.integrity.value if entry.integrity else None
    named = {"object": entry.etag, "proof": integrity, "transfer": entry.transfer_id, "entry": entry.entry}
    yield from (f"{name} {value}" for name, value in named.items() if value)
