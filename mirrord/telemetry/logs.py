"""The log: the output and the format of its lines, for our events and for the libraries that use stdlib logging.

Owns the one handler on stdlib's root logger. Lines go to stderr: JSON, or text on a terminal, which structlog renders.
A thread writes them, so that no caller waits for their reader. `log_observer` decides which events are logged, and at
which level.
"""

import logging
import os
import sys
from collections.abc import Callable
from typing import Literal, NamedTuple, TextIO, cast

from mirrord.telemetry.event_logger import EventLogger, LibraryFormatter, LineWriter, Render
from mirrord.telemetry.json_lines import json_line
from mirrord.telemetry.log_writer import LogWriter

Format = Literal["auto", "console", "json"]
Level = Literal["debug", "info", "warning", "error"]


class _LibraryLines(logging.StreamHandler[TextIO]):
    """Our handler on the root logger, recognised by its type. It holds the logger of our events."""

    def __init__(self, out: TextIO, events: EventLogger) -> None:
        super().__init__(out)
        self.events = events


def _report_dropped(lines: int) -> None:
    for handler in _ours():
        handler.events.warning("log.dropped", lines=lines, message="stderr was not read, or refused what was written")


def _ours() -> list[_LibraryLines]:
    """The handler of the last `configure`; none before it."""
    return [one for one in logging.getLogger().handlers if isinstance(one, _LibraryLines)]


_STDERR = 2
_writer = LogWriter(_STDERR, _report_dropped)


class _Stderr:
    """The `sys.stderr` of the moment of the write: the process's own, which a thread writes to, or a temporary
    replacement such as a live display."""

    def write(self, text: str) -> int:
        if sys.stderr is sys.__stderr__:
            _writer.write(text)
            return len(text)
        return sys.stderr.write(text)

    def flush(self) -> None:
        if sys.stderr is not sys.__stderr__:
            sys.stderr.flush()

    def isatty(self) -> bool:
        return sys.stderr.isatty()


def drain() -> None:
    """Wait until the log is written. Called before other output and at exit. The wait is bounded."""
    _writer.drain()


class Log(NamedTuple):
    """The log of this process: its logger, and what writes finished JSON lines of level info. None: the log is text, or
    has only lines of higher levels."""

    logger: EventLogger
    json_info: Callable[[str], None] | None


def configure(format: Format = "auto", level: Level = "info", stream: TextIO | None = None) -> Log:
    """Set up this process's log on `stream` (stderr if None) and return it. Calling again replaces it.

    `auto` is console on a terminal, JSON lines elsewhere. Lines of other libraries are logged from level warning.
    """
    out = stream if stream is not None else cast(TextIO, _Stderr())
    severity = logging.getLevelNamesMapping()[level.upper()]
    console = format == "console" or (format == "auto" and out.isatty())
    render = _text(out) if console else json_line
    write = LineWriter(out)
    events = EventLogger(write, render, severity)
    handler = _LibraryLines(out, events)
    handler.setLevel(max(severity, logging.WARNING))
    handler.setFormatter(LibraryFormatter(render))
    for old in _ours():
        logging.getLogger().removeHandler(old)
    logging.getLogger().addHandler(handler)
    return Log(events, write if severity <= logging.INFO and not console else None)


def _text(out: TextIO) -> Render:
    """Lines for people, with colours at a terminal. structlog is imported for them only: it imports rich, 90 ms."""
    from structlog.dev import ConsoleRenderer, plain_traceback

    colours = out.isatty() and not os.environ.get("NO_COLOR")
    shown = ConsoleRenderer(colors=colours, exception_formatter=plain_traceback)
    return lambda line: shown(None, "", line)
