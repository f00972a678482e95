"""Writes named events as log lines: which levels are written, and the order of a line's fields.

Owns the line of an event and of a record of stdlib logging up to their rendering. `logs` chooses output and format.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from threading import Lock
from typing import TextIO

from mirrord.telemetry.redaction import Line, redacted

Render = Callable[[Line], str]
"""The text of a line without its line feed. It may change the line."""


class LineWriter:
    """Writes whole lines to `out`, from any thread."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._lock = Lock()

    def __call__(self, text: str) -> None:
        with self._lock:
            self._out.write(text + "\n")
            self._out.flush()


class EventLogger:
    """Writes events of level `severity` and above, as `render` shows them: fields, event, level, timestamp."""

    def __init__(self, write: Callable[[str], None], render: Render, severity: int) -> None:
        self._write = write
        self._render = render
        self._severity = severity

    def is_enabled_for(self, level: int) -> bool:
        """Whether lines of that level are written."""
        return level >= self._severity

    def debug(self, event: str, **fields: object) -> None:
        """Write a line of level debug."""
        self.log(logging.DEBUG, event, **fields)

    def info(self, event: str, **fields: object) -> None:
        """Write a line of level info."""
        self.log(logging.INFO, event, **fields)

    def warning(self, event: str, **fields: object) -> None:
        """Write a line of level warning."""
        self.log(logging.WARNING, event, **fields)

    def error(self, event: str, **fields: object) -> None:
        """Write a line of level error."""
        self.log(logging.ERROR, event, **fields)

    def log(self, level: int, event: str, /, **fields: object) -> None:
        """Write a line of a level of stdlib logging. Secrets are removed from all fields."""
        if level < self._severity:
            return
        fields["event"] = event
        fields["level"] = logging.getLevelName(level).lower()
        line = redacted(fields)
        line["timestamp"] = utc_now()
        self._write(self._render(line))


class LibraryFormatter(logging.Formatter):
    """Records of stdlib logging as lines: event, level, timestamp, logger, item, exception."""

    def __init__(self, render: Render) -> None:
        super().__init__()
        self._render = render

    def format(self, record: logging.LogRecord) -> str:
        """The record's line. `item` is what the record was given as extra of that name."""
        line: Line = {"event": record.getMessage()}
        if record.stack_info:
            line["stack_info"] = record.stack_info
        line.update(level=record.levelname.lower(), timestamp=utc_now(), logger=record.name)
        if "item" in vars(record):
            line["item"] = vars(record)["item"]
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = self.formatException(record.exc_info)
        return self._render(redacted(line))


def utc_now() -> str:
    """The time in ISO 8601, in UTC."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
