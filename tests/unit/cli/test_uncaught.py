"""Errors that nobody caught, and warnings: printed as Python does it, without the secrets of URLs."""

import sys
import threading
import warnings
from types import SimpleNamespace
from typing import Any

import pytest

from mirrord.cli.process import uncaught

URL = "https://me:s3cret@h.example/a?X-Amz-Signature=s3cret"
SHOWN = "https://h.example/a?…"


@pytest.fixture(autouse=True)
def hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hooks of this process as they were, after the test."""
    for owner, name in (
        (sys, "excepthook"),
        (sys, "unraisablehook"),
        (threading, "excepthook"),
        (warnings, "showwarning"),
    ):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    uncaught.install()


def raised(text: str) -> BaseException:
    try:
        try:
            raise OSError(f"GET {text}")
        except OSError as error:
            raise ValueError(f"cannot read {text}") from error
    except ValueError as error:
        return error


def test_an_error_that_ends_the_process(capsys: pytest.CaptureFixture[str]) -> None:
    error = raised(URL)
    sys.excepthook(type(error), error, error.__traceback__)
    err = capsys.readouterr().err
    assert f"ValueError: cannot read {SHOWN}\n" in err
    assert f"OSError: GET {SHOWN}\n" in err
    assert err.count("Traceback (most recent call last):\n") == 2
    assert "s3cret" not in err


def test_an_error_in_a_thread(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        raise raised(URL)

    thread = threading.Thread(target=work, name="worker")
    thread.start()
    thread.join()
    err = capsys.readouterr().err
    assert err.startswith("Exception in thread worker:\nTraceback")
    assert f"ValueError: cannot read {SHOWN}\n" in err
    assert "s3cret" not in err


def test_a_thread_that_ends_itself_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    thread = threading.Thread(target=sys.exit)
    thread.start()
    thread.join()
    assert capsys.readouterr().err == ""


def test_an_error_in_a_destructor(capsys: pytest.CaptureFixture[str]) -> None:
    error = raised(URL)
    failed: Any = SimpleNamespace(
        exc_type=type(error), exc_value=error, exc_traceback=error.__traceback__, err_msg=None, object={URL: 1}
    )
    sys.unraisablehook(failed)
    err = capsys.readouterr().err
    assert err.startswith("Exception ignored in: {'https://h.example/a?…': 1}\nTraceback")
    assert "s3cret" not in err


def test_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    warnings.showwarning(f"odd {URL}", UserWarning, __file__, 1)
    err = capsys.readouterr().err
    assert f"UserWarning: odd {SHOWN}\n" in err
    assert "s3cret" not in err


def test_a_stream_that_cannot_be_written_adds_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed:
        def write(self, text: str) -> int:
            raise OSError(text)

        def flush(self) -> None: ...

    monkeypatch.setattr(sys, "stderr", Closed())
    sys.excepthook(ValueError, ValueError(URL), None)
