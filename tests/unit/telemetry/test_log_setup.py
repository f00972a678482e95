"""Where the log goes, how it looks, and what the net under it catches."""

import json
import logging
import sys
from collections.abc import Iterator
from io import StringIO

import pytest

from mirrord.telemetry.logs import configure
from mirrord.telemetry.redaction import redact


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    handlers = logging.getLogger().handlers[:]
    yield
    logging.getLogger().handlers[:] = handlers


@pytest.mark.parametrize(
    ("format", "out", "is_json"),
    [
        ("auto", StringIO(), True),
        ("auto", Terminal(), False),
        ("json", Terminal(), True),
        ("console", StringIO(), False),
    ],
)
def test_the_format_follows_the_terminal_unless_told(format: str, out: StringIO, is_json: bool) -> None:
    configure(format, "info", out).logger.info("daemon.ready", items=3)
    line = out.getvalue()
    assert line.count("\n") == 1
    if is_json:
        assert json.loads(line).items() >= {"event": "daemon.ready", "level": "info", "items": 3}.items()
    else:
        assert "daemon.ready" in line
        assert not line.startswith("{")


def test_colours_only_for_a_terminal_that_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def line(out: StringIO) -> str:
        configure("console", "info", out).logger.info("daemon.ready")
        return out.getvalue()

    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" in line(Terminal())
    assert "\x1b[" not in line(StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in line(Terminal())


def test_by_default_it_follows_stderr_where_a_live_display_puts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = StringIO(), StringIO()
    monkeypatch.setattr(sys, "stderr", first)
    logger = configure("json").logger
    logger.info("one")
    monkeypatch.setattr(sys, "stderr", second)
    logger.info("two")
    logging.getLogger("aiohttp.client").warning("three")
    assert [json.loads(line)["event"] for line in first.getvalue().splitlines()] == ["one"]
    assert [json.loads(line)["event"] for line in second.getvalue().splitlines()] == ["two", "three"]


def test_libraries_lines_come_through_the_same_renderer_at_warning() -> None:
    out = StringIO()
    configure("json", "debug", out)
    library = logging.getLogger("botocore.credentials")
    library.info("found credentials")
    library.warning("cannot reach %s", "https://u:hunter2@host/x?X-Amz-Signature=hunter2", extra={"item": "0123"})
    (line,) = map(json.loads, out.getvalue().splitlines())
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "cannot reach https://host/x?…",
        "level": "warning",
        "logger": "botocore.credentials",
        "item": "0123",
    }


@pytest.mark.parametrize("format", ["json", "console"])
def test_a_traceback_is_kept_and_redacted(format: str) -> None:
    out = StringIO()
    configure(format, "info", out)
    try:
        raise OSError("https://u:hunter2@host/x?token=hunter2")
    except OSError:
        logging.getLogger("asyncio").exception("task failed")
    assert "Traceback" in out.getvalue()
    assert "OSError: https://host/x?…" in out.getvalue().replace(r"\u2026", "…")
    assert "hunter2" not in out.getvalue()


def test_at_error_level_libraries_warnings_are_left_out() -> None:
    out = StringIO()
    configure("json", "error", out)
    logging.getLogger("aiohttp").warning("slow")
    assert out.getvalue() == ""


def test_setting_up_twice_writes_once_and_to_the_later_stream() -> None:
    before, after = StringIO(), StringIO()
    configure("json", "info", before)
    configure("json", "info", after)
    logging.getLogger("aiohttp").warning("slow")
    assert before.getvalue() == ""
    assert len(after.getvalue().splitlines()) == 1


def test_names_that_are_no_unicode_can_be_written() -> None:
    out = StringIO()
    configure("json", "info", out).logger.info("x", key="bad-\udcff")
    out.getvalue().encode()
    assert json.loads(out.getvalue())["key"] == "bad-\udcff"


def test_an_escape_sequence_in_a_name_never_reaches_the_terminal() -> None:
    out = Terminal()
    configure("console", "info", out).logger.info("x", key="a\x1b[2Jb")
    assert "\x1b[2J" not in out.getvalue()


@pytest.mark.parametrize(
    "deep", [["https://u:hunter2@h/"], {"url": ("https://h/?t=hunter2",)}, OSError("http://u:hunter2@h")]
)
def test_the_net_reaches_into_values(deep: object) -> None:
    out = StringIO()
    configure("json", "info", out).logger.info("x", value=deep)
    assert out.getvalue()
    assert "hunter2" not in out.getvalue()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://user:pass@host/p", "https://host/p"),
        ("https://user:p@ss@host/p", "https://host/p"),
        ("https://token@host", "https://host"),
        ("get https://h/a?X-Amz-Signature=1&b=2 now", "get https://h/a?… now"),
        ("https://h?key=1", "https://h?…"),
        ("https://h/a#access_token=1", "https://h/a#…"),
        ('"https://u:p@h/a?b=c"', '"https://h/a?…"'),
        ("(https://h/a?b=c)", "(https://h/a?…"),
        ("https://h/a?…: no", "https://h/a?…: no"),
        ("(https://h/a;…), https://h/a#…;", "(https://h/a;…), https://h/a#…;"),
        ("GET /a/b?sig=abc HTTP/1.1", "GET /a/b?… HTTP/1.1"),
        ("postgresql://user:pass@db:5432/mirrord", "postgresql://db:5432/mirrord"),
        ("two: http://a:b@c/ and http://d:e@f/?g", "two: http://c/ and http://f/?…"),
        # and what must stay as it is
        ("s3://bucket/mail@example.org", "s3://bucket/mail@example.org"),
        ("file:///srv/what?.csv", "file:///srv/what?.csv"),
        ("file:///srv/a#b", "file:///srv/a#b"),
        ("is it /srv/what?.csv", "is it /srv/what?.csv"),
        ("why? because a=b", "why? because a=b"),
        ("someone@example.org", "someone@example.org"),
        ("first\n\tsecond", "first\n\tsecond"),
    ],
)
def test_only_userinfo_and_queries_are_cut(text: str, expected: str) -> None:
    assert redact(text) == expected
