"""What Python itself prints of errors and warnings: filtered as log lines are, so that no URL in it shows a secret.

Owns the hooks for an uncaught error, in any thread or destructor, and for warnings. asyncio logs its own,
which `running` filters in commands without a log. faulthandler prints no values. Until something is printed, it imports
nothing of mirrord: it is installed before anything else is loaded.
"""

import sys
import threading
import warnings
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from sys import UnraisableHookArgs


def install() -> None:
    """Replace the hooks of this process."""
    sys.excepthook = _uncaught
    sys.unraisablehook = _unraisable
    threading.excepthook = _in_thread
    warnings.showwarning = _warning


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    _write(_text(kind, error, trace))


def _in_thread(failed: threading.ExceptHookArgs) -> None:
    if failed.exc_type is not SystemExit:
        name = failed.thread.name if failed.thread is not None else "?"
        _write(f"Exception in thread {name}:\n{_text(failed.exc_type, failed.exc_value, failed.exc_traceback)}")


def _unraisable(failed: "UnraisableHookArgs") -> None:
    said = failed.err_msg or "Exception ignored in"
    _write(f"{said}: {failed.object!r}\n{_text(failed.exc_type, failed.exc_value, failed.exc_traceback)}")


def _warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    _write(warnings.formatwarning(message, category, filename, lineno, line), file)


def _text(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> str:
    import traceback

    return "".join(traceback.format_exception(kind, error, trace))


def _write(text: str, file: TextIO | None = None) -> None:
    from mirrord.telemetry.redaction import redact

    with suppress(Exception):  # a stream that is closed or full: Python would print the whole error instead
        print(redact(text), end="", file=file or sys.stderr, flush=True)
