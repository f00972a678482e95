"""The log: the output and the format of its lines, for structlog and for the libraries that use stdlib logging.

Owns the one handler on stdlib's root logger and structlog's configuration. Lines go to stderr: JSON, or text on a
terminal. A thread writes them, so that no caller waits for their reader. `log_observer` decides which events are
logged, and at which level.
"""

import logging
import os
import sys
from collections.abc import Callable
from typing import Literal, NamedTuple, TextIO, cast

import structlog
from structlog.typing import FilteringBoundLogger, Processor

from mirrord.telemetry.json_lines import json_line
from mirrord.telemetry.log_writer import LogWriter
from mirrord.telemetry.redaction import redacted

Format = Literal["auto", "console", "json"]
Level = Literal["debug", "info", "warning", "error"]


def _report_dropped(lines: int) -> None:
    structlog.get_logger().warning(
        "log.dropped", lines=lines, message="stderr was not read, or refused what was written"
    )


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

    logger: FilteringBoundLogger
    json_info: Callable[[str], None] | None


def configure(format: Format = "auto", level: Level = "info", stream: TextIO | None = None) -> Log:
    """Set up this process's log on `stream` (stderr if None) and return it. Calling again replaces it.

    `auto` is console on a terminal, JSON lines elsewhere. Lines of other libraries are logged from level warning.
    """
    out = stream if stream is not None else cast(TextIO, _Stderr())
    severity = logging.getLevelNamesMapping()[level.upper()]
    console = format == "console" or (format == "auto" and out.isatty())
    render = _renderers(console, out)
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    structlog.configure(
        processors=[structlog.processors.add_log_level, *render[:-1], stamp, render[-1]],
        wrapper_class=structlog.make_filtering_bound_logger(severity),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    _route_libraries(out, max(severity, logging.WARNING), [structlog.stdlib.add_log_level, stamp], render)
    logger = cast(FilteringBoundLogger, structlog.get_logger().bind())  # bound: else each line would bind a logger
    is_plain = not console and severity <= logging.INFO
    return Log(logger, structlog.WriteLogger(out).msg if is_plain else None)


def _renderers(console: bool, out: TextIO) -> list[Processor]:
    if not console:
        return [structlog.processors.format_exc_info, redacted, json_line]
    colours = out.isatty() and not os.environ.get("NO_COLOR")
    plain = structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=structlog.dev.plain_traceback)
    return [structlog.processors.format_exc_info, redacted, plain]


class _LibraryLines(logging.StreamHandler[TextIO]):
    """Our handler on the root logger, recognised by its type."""


def _route_libraries(out: TextIO, severity: int, first: list[Processor], render: list[Processor]) -> None:
    handler = _LibraryLines(out)
    handler.setLevel(severity)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*first, structlog.stdlib.add_logger_name, structlog.stdlib.ExtraAdder(["item"])],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    root = logging.getLogger()
    for old in [one for one in root.handlers if isinstance(one, _LibraryLines)]:
        root.removeHandler(old)
    root.addHandler(handler)
