"""What commands show while they work: the log, and at a terminal progress bars. `lines` has what follows."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import click

from mirrord.cli.process.signals import process
from mirrord.ports import Observer
from mirrord.settings import Settings
from mirrord.telemetry.fanout import Observers
from mirrord.telemetry.log_observer import LogObserver
from mirrord.telemetry.logs import Format, Level, configure, drain
from mirrord.telemetry.otlp import exporting
from mirrord.telemetry.terminal import TerminalObserver


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
        with _bars() as bars, exporting(os.environ) as exporters:
            yield Observers([first, *bars, *exporters])
    finally:
        drain()


@contextmanager
def _bars() -> Iterator[list[Observer]]:
    """Progress bars, if rich may take stderr for a terminal. rich is imported for them only: it takes 50 ms."""
    if not (sys.stderr.isatty() or os.environ.keys() & {"FORCE_COLOR", "TTY_COMPATIBLE"}):
        yield []
        return
    from mirrord.telemetry.progress import ProgressObserver

    with ProgressObserver() as progress:
        yield [progress]


def _beside_bars(line: str) -> None:
    """Lines that are written to stderr appear above the bars."""
    click.echo(line, err=True)
