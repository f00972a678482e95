"""What commands show while they work, and how a report reads."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import click

from mirrord.cli.signals import process
from mirrord.daemon.report import Left, Report
from mirrord.errors import printable
from mirrord.telemetry.fanout import Observers
from mirrord.telemetry.log_observer import LogObserver
from mirrord.telemetry.logs import Format, Level, configure, drain
from mirrord.telemetry.progress import ProgressObserver
from mirrord.units import format_duration, format_size


@contextmanager
def observing(log_format: str, log_level: str) -> Iterator[Observers]:
    """An observer that logs to stderr, and draws progress bars if that is a terminal."""
    logger = configure(cast(Format, log_format), cast(Level, log_level))
    process.before_leaving = drain
    try:
        with ProgressObserver() as progress:
            yield Observers([LogObserver(logger), progress])
    finally:
        drain()


def say(line: str) -> None:
    """Print one line to stdout. Names of files may hold control characters, and bytes that are no text."""
    click.echo(printable(line))


def summary(report: Report) -> str:
    """One line: `3 copied (64.0 MiB), 0 unchanged, 1 Blocked in 2s`."""
    parts = [f"{report.copied} copied ({format_size(report.bytes)})", f"{report.unchanged} unchanged"]
    parts += [f"{report.deleted} deleted"] * bool(report.deleted)
    parts += [f"{count} {state.value}" for state, count in sorted(report.states.items())]
    return f"{', '.join(parts)} in {format_duration(report.duration)}"


def details(report: Report) -> Iterator[str]:
    """A line for each item that is not in sync, each folder read in part, each fault of a manifest."""
    yield from (_left(left) for left in report.left)
    yield from (f"incomplete: {folder}" for folder in report.incomplete)
    yield from (f"invalid: {problem}" for problem in report.problems)


def _left(left: Left) -> str:
    outcome = left.outcome
    reason = f" {outcome.reason.value}" if outcome.reason else ""
    return f"{outcome.state.value}{reason}: {left.item.destination}: {outcome.message}"
