"""Lines of events and of library records: their levels, their fields in order, without secrets."""

import logging
import sys
from io import StringIO

import pytest

from mirrord.telemetry.event_logger import EventLogger, LibraryFormatter, LineWriter
from mirrord.telemetry.redaction import Line

LEVELS = ["debug", "info", "warning", "error"]


@pytest.fixture
def lines() -> list[Line]:
    return []


def logger(lines: list[Line], severity: int) -> EventLogger:
    def render(line: Line) -> str:
        lines.append(line)
        return "rendered"

    return EventLogger(lambda text: None, render, severity)


def test_the_fields_of_an_event_come_first_then_event_level_and_timestamp(lines: list[Line]) -> None:
    logger(lines, logging.INFO).info("x", item="0123", key="https://u:hunter2@h/p")
    (line,) = lines
    assert list(line) == ["item", "key", "event", "level", "timestamp"]
    assert line.pop("timestamp").endswith("Z")
    assert line == {"item": "0123", "key": "https://h/p", "event": "x", "level": "info"}


@pytest.mark.parametrize("severity", LEVELS)
def test_events_below_the_severity_are_not_written(lines: list[Line], severity: str) -> None:
    least = logging.getLevelNamesMapping()[severity.upper()]
    log = logger(lines, least)
    for level in LEVELS:
        getattr(log, level)("named")
        log.log(logging.getLevelNamesMapping()[level.upper()], "numbered")
        assert log.is_enabled_for(logging.getLevelNamesMapping()[level.upper()]) == (level in _from(severity))
    assert [line["level"] for line in lines] == [level for level in _from(severity) for _ in range(2)]


def _from(severity: str) -> list[str]:
    return LEVELS[LEVELS.index(severity) :]


def test_a_line_is_written_whole_and_flushed() -> None:
    class Stream(StringIO):
        flushed = ""

        def flush(self) -> None:
            self.flushed = self.getvalue()

    out = Stream()
    EventLogger(LineWriter(out), lambda line: "rendered", logging.INFO).info("x")
    assert out.flushed == "rendered\n"


def test_the_fields_of_a_library_record_are_in_this_order(lines: list[Line]) -> None:
    _formatted(lines, item="0123")
    (line,) = lines
    assert list(line) == ["event", "level", "timestamp", "logger", "item", "exception"]
    assert line["event"] == "failed on https://h/?…"
    assert (line["level"], line["logger"], line["item"]) == ("error", "library", "0123")
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("OSError: https://h/?…")


def test_a_record_has_no_other_extra_and_no_empty_exception(lines: list[Line]) -> None:
    _formatted(lines, fails=False, other="x")
    assert list(lines[0]) == ["event", "level", "timestamp", "logger"]


def _formatted(lines: list[Line], fails: bool = True, **extra: str) -> None:
    secret = "https://h/?t=hunter2"
    try:
        if fails:
            raise OSError(secret)
    except OSError:
        caught = sys.exc_info()
    else:
        caught = (None, None, None)
    record = logging.LogRecord("library", logging.ERROR, "file.py", 1, "failed on %s", (secret,), caught)
    vars(record).update(extra)

    def render(line: Line) -> str:
        lines.append(line)
        return ""

    LibraryFormatter(render).format(record)
