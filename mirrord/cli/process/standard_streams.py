"""stdin, stdout and stderr: open also if the caller closed them, and without tracebacks if the reader has gone.

Owns the exit codes of output that cannot be written. Imports nothing of mirrord but exit codes: it is imported first.
"""

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from mirrord.cli.exits import CLOSED, FAILED


def open_closed() -> None:
    """Open closed descriptors as /dev/null. Else the first opened files would get their numbers, and output for people
    would be written into the journal."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
    sys.stdin = sys.stdin or os.fdopen(0, closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


class OutputFailed(Exception):
    """stdout or stderr cannot be written. Not an OSError: click would end the process at one of those."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"cannot write the output: {error.strerror}")
        self.code = CLOSED if error.errno == errno.EPIPE else FAILED


class Output(io.TextIOWrapper):
    """stdout that raises OutputFailed, so that its errors differ from those of other files."""

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError as error:
            raise OutputFailed(error) from error

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            raise OutputFailed(error) from error


class Errors(io.TextIOWrapper):
    """stderr that drops output that a full disk refuses: the exit code of the command stays the same."""

    def write(self, text: str) -> int:
        with _dropped():
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with _dropped():
            super().flush()


@contextmanager
def _dropped() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise


def guard() -> None:
    """Replace stdout by an `Output` and stderr by `Errors`, also as `sys.__stdout__` and `sys.__stderr__`."""
    sys.stdout = _guarded(sys.stdout, Output)
    sys.stderr = _guarded(sys.stderr, Errors)
    vars(sys).update(__stdout__=sys.stdout, __stderr__=sys.stderr)


def _guarded(stream: TextIO, kind: type[io.TextIOWrapper]) -> TextIO:
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    encoding, errors, lines = stream.encoding, stream.errors, stream.line_buffering
    return kind(stream.detach(), encoding=encoding, errors=errors, line_buffering=lines)


@contextmanager
def written() -> Iterator[None]:
    """Flush stdout at the end. Raises OutputFailed, also if the reader of stderr has gone."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError as error:
        raise OutputFailed(error) from error


def discard_output() -> None:
    """Redirect unwritten output to /dev/null: Python tries to write it again at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except (OSError, OutputFailed):
            os.dup2(nowhere, number)
