"""Output of commands: logs and progress bars while they work, and the text of a report."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import click

from mirrord.cli.process.signals import process
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
def showing_progress(settings: Settings, *, verbose: bool) -> Iterator[Observers]:
    """For commands that end, and the demo: at a terminal bars and problems, with `verbose` a line for each item.

    Elsewhere, and with a given log format or the level debug, the log as `observing` writes it.
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
    process.before_exit = drain
    try:
        with ProgressObserver() as progress:
            yield Observers([first, progress])
    finally:
        drain()


def _beside_bars(line: str) -> None:
    """Lines that are written to stderr appear above the bars."""
    click.echo(line, err=True)


def print_line(line: str) -> None:
    """Print one line to stdout. File names may contain control characters, and bytes that are not valid text."""
    click.echo(printable(line))


def summary(report: Report) -> str:
    """One line: `3 copied (64.0 MiB), 0 unchanged, 1 failed, 1 Blocked in 2s`."""
    parts = [f"{report.copied} copied ({format_size(report.bytes)})", f"{report.unchanged} unchanged"]
    parts += [f"{report.deleted} deleted"] * bool(report.deleted)
    parts += [f"{count} {_word(state)}" for state, count in sorted(report.states.items())]
    return f"{', '.join(parts)} in {format_duration(report.duration)}"


def details(report: Report) -> Iterator[str]:
    """A line for each item that is not in sync, each incomplete folder, and each problem of a manifest."""
    yield from (_left(left) for left in report.left)
    yield from (f"incomplete: {folder}" for folder in report.incomplete)
    yield from (f"invalid: {problem}" for problem in report.problems)


def _left(left: Left) -> str:
    outcome = left.outcome
    reason = f" {outcome.reason.value}" if outcome.reason else ""
    return f"{_word(outcome.state)}{reason}: {left.item.destination}: {outcome.message}"


def _word(state: State) -> str:
    """A state at the end of a command: Retrying is `failed`, because there is no next try."""
    return "failed" if state is State.RETRYING else state.value
