"""The lines of `status --watch` at a terminal: problems first, then what runs, in as many rows as there are. Pure.

Owns the order and what is left out when rows are few. `status` has the text of each line.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mirrord.cli.show.overview import Overview
from mirrord.cli.show.status import RUNNING, StatusSection, head, sections
from mirrord.status import Progress
from mirrord.units import format_duration, format_size

KEYS = "q or Ctrl-C ends"
_PROBLEM, _TITLE, _QUIET = "bold red", "bold", "dim"


class ScreenLine(NamedTuple):
    """One row. `style` is one of rich; it is not shown without colours."""

    text: str
    style: str = ""


def screen(shown: Overview, now: float, rows: int, note: str = "") -> list[ScreenLine]:
    """At most `rows` lines, the last one with the keys. `now`: seconds since the epoch; `note`: why `shown` is old."""
    top, totals = head(shown, now)
    lines = [ScreenLine(top, _TITLE), ScreenLine(totals), *(ScreenLine(one) for one in _moving(shown.status.running))]
    if note:
        lines.insert(0, ScreenLine(note, _PROBLEM))
    ordered = sorted(sections(shown, now), key=_place)
    for section in fitted(ordered, rows - len(lines) - 1):
        lines.append(ScreenLine(f"{section.title}:", _PROBLEM if section.problem else _TITLE))
        lines += [ScreenLine(f"  {line}") for line in section.lines]
    lines = lines[: max(0, rows - 1)]
    lines += [ScreenLine("")] * (rows - 1 - len(lines))
    return [*lines, ScreenLine(KEYS, _QUIET)]


def _place(section: StatusSection) -> int:
    """Problems come before transfers, and those before what only informs."""
    return 0 if section.problem else 1 if section.title == RUNNING else 2


def _moving(running: Sequence[Progress]) -> Iterator[str]:
    """How fast all running transfers are together, and how long they need at that rate."""
    if not running:
        return
    rate = sum(one.rate for one in running)
    left = sum(max(0, one.size - min(one.bytes_read, one.bytes_sent)) for one in running if one.size)
    parts = [f"transfers: {len(running):,} running at {format_size(rate)}/s", f"{format_size(left)} left"]
    parts += [f"about {format_duration(left / rate)}"] if rate and left else []
    yield ", ".join(parts)


def fitted(wanted: Sequence[StatusSection], rows: int) -> list[StatusSection]:
    """The sections in at most `rows` lines, each with its title. The longest are shortened first, of equal ones the
    later; a shortened one ends with the number of its other lines. If all that does not suffice, the last are left
    out."""
    counts = [len(one.lines) for one in wanted]
    while sum(counts) + len(counts) > rows and max(counts, default=0) > 1:
        longest = max(counts)
        counts[len(counts) - 1 - counts[::-1].index(longest)] -= 1
    while counts and sum(counts) + len(counts) > rows:
        counts.pop()
    return [_shortened(section, count) for section, count in zip(wanted, counts, strict=False)]


def _shortened(section: StatusSection, count: int) -> StatusSection:
    if count >= len(section.lines):
        return section
    hidden = len(section.lines) - count + 1
    return section._replace(lines=[*section.lines[: count - 1], f"({hidden:,} more lines)"])
