"""What commands show while they work, and how a report reads."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import click

from mirrord.cli.signals import process
from mirrord.errors import printable
from mirrord.model import State
from mirrord.ports import Observer
from mirrord.programs.report import Left, Report
from mirrord.settings import Settings
from mirrord.telemetry.fanout import Observers
from mirrord.telemetry.log_observer import LogObserver
from mirrord.telemetry.logs import Format, Level, configure, drain
from mirrord.telemetry.progress import ProgressObserver
from mirrord.telemetry.terminal import TerminalObserver
from mirrord.units import format_duration, format_size


@contextmanager
def observing(log_format: str, log_level: str) -> Iterator[Observers]:
    """An observer that logs to stderr, and draws progress bars if that is a terminal."""
    with _drawing(lambda: LogObserver(configure(cast(Format, log_format), cast(Level, log_level)))) as observer:
        yield observer


@contextmanager
def watching(settings: Settings, *, verbose: bool) -> Iterator[Observers]:
    """For commands that end, and the demo: at a terminal bars and problems, with `verbose` a line for each item.

    Elsewhere, and where a log format or the level debug was asked for, the log as `observing` writes it.
    """
    if not sys.stderr.isatty() or settings.log_format != "auto" or settings.log_level == "debug":
        with observing(settings.log_format, settings.log_level) as observer:
            yield observer
        return
    configure("auto", "error" if settings.log_level == "error" else "warning")
    with _drawing(lambda: TerminalObserver(_beside_bars, verbose=verbose)) as observer:
        yield observer


@contextmanager
def _drawing(telling: Callable[[], Observer]) -> Iterator[Observers]:
    first = telling()
    process.before_leaving = drain
    try:
        with ProgressObserver() as progress:
            yield Observers([first, progress])
    finally:
        drain()


def _beside_bars(line: str) -> None:
    """The bars let lines that are written to stderr appear above them."""
    click.echo(line, err=True)


def say(line: str) -> None:
    """Print one line to stdout. Names of files may hold control characters, and bytes that are no text."""
    click.echo(printable(line))


def summary(report: Report) -> str:
    """One line: `3 copied (64.0 MiB), 0 unchanged, 1 failed, 1 Blocked in 2s`."""
    parts = [f"{report.copied} copied ({format_size(report.bytes)})", f"{report.unchanged} unchanged"]
    parts += [f"{report.deleted} deleted"] * bool(report.deleted)
    parts += [f"{count} {_word(state)}" for state, count in sorted(report.states.items())]
    return f"{', '.join(parts)} in {format_duration(report.duration)}"


def details(report: Report) -> Iterator[str]:
    """A line for each item that is not in sync, each folder read in part, each fault of a manifest."""
    yield from (_left(left) for left in report.left)
    yield from (f"incomplete: {folder}" for folder in report.incomplete)
    yield from (f"invalid: {problem}" for problem in report.problems)


def _left(left: Left) -> str:
    outcome = left.outcome
    reason = f" {outcome.reason.value}" if outcome.reason else ""
    return f"{_word(outcome.state)}{reason}: {left.item.destination}: {outcome.message}"


def _word(state: State) -> str:
    """What is left of a state when the command has ended: there is no next try."""
    return "failed" if state is State.RETRYING else state.value
