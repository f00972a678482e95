"""stdin, stdout and stderr: there from the start, whatever the caller closed, and quiet at the end, whatever went away.

Owns the exit codes of an output that cannot be written. Imports nothing of mirrord but exit codes: it comes first.
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
    """Make /dev/null of those that are closed: else the first files that are opened get their numbers, and what is
    meant for people goes into the journal."""
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
    """stdout that raises OutputFailed, which no error of another file can be taken for."""

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
    """stderr that drops what a full disk does not take: the exit code of a command stays what it is."""

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
    """Make stdout an `Output`, and stderr `Errors`; they are the process's own (`sys.__stderr__`) from now on."""
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
    """Everything that was printed is out at the end. Raises OutputFailed, also for a stderr that is not read."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError as error:
        raise OutputFailed(error) from error


def hush() -> None:
    """Have what is left of the output go nowhere: Python writes it once more at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except (OSError, OutputFailed):
            os.dup2(nowhere, number)
