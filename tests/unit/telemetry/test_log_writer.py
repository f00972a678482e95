"""The thread that writes log lines: callers never wait for an unread pipe, and lost lines are counted."""

import errno
import fcntl
import os
import select
from collections.abc import Iterator
from queue import Queue
from threading import Event, Thread

import pytest

from mirrord.telemetry import log_writer
from mirrord.telemetry.log_writer import LogWriter

PIPE = 4096
Pipe = tuple[int, int]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE)
    yield reading, writing
    for descriptor in (reading, writing):
        os.close(descriptor)


class Losses:
    """What a writer reported."""

    def __init__(self) -> None:
        self.counts: Queue[int] = Queue()

    def __call__(self, lines: int) -> None:
        self.counts.put(lines)


def line(number: int) -> str:
    return f"{number:099}\n"


def read_all(pipe: Pipe, count: int) -> bytes:
    found = b""
    while len(found) < count:
        found += os.read(pipe[0], 65536)
    return found


def test_lines_are_complete_and_in_order(pipe: Pipe) -> None:
    writer = LogWriter(pipe[1], Losses())
    reader: Queue[bytes] = Queue()
    Thread(target=lambda: reader.put(read_all(pipe, 100 * 2000)), daemon=True).start()
    for number in range(2000):
        writer.write(line(number))
    assert writer.drain(60, 10)
    assert reader.get(timeout=10).decode() == "".join(map(line, range(2000)))


def test_an_unread_pipe_delays_no_caller_and_lost_lines_are_reported_after_it_is_read(pipe: Pipe) -> None:
    losses = Losses()
    writer = LogWriter(pipe[1], losses, limit=10_000)
    for number in range(1000):
        writer.write(line(number))  # must return: the pipe holds 40 lines, the queue 100
    assert not writer.drain(0.05, 0.05)
    kept = b""
    while losses.counts.empty():  # how many lines were kept depends on when the writing thread ran
        ready, _, _ = select.select([pipe[0]], [], [], 0.01)
        kept += os.read(pipe[0], 65536) if ready else b""
    lost = losses.counts.get()
    assert losses.counts.empty()
    kept += read_all(pipe, (1000 - lost) * 100 - len(kept))
    assert kept.decode() == "".join(map(line, range(1000 - lost))), "one gap, at the end"
    assert 0 < lost < 1000
    assert writer.drain(60, 10)
    writer.write(line(1))
    assert read_all(pipe, 100).decode() == line(1)


def test_the_report_of_lost_lines_is_written_where_they_are_missing(pipe: Pipe) -> None:
    writer = LogWriter(pipe[1], lambda lines: writer.write(f"lost {lines}\n"), limit=10_000)
    for number in range(500):
        writer.write(line(number))
    text = read_all(pipe, 100 * 100)
    while not text.splitlines()[-1].startswith(b"lost") or not text.endswith(b"\n"):
        text += os.read(pipe[0], 65536)
    *kept, report = text.splitlines()
    assert report == b"lost %d" % (500 - len(kept))
    writer.write(line(500))
    assert read_all(pipe, 100).decode() == line(500)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EPIPE, errno.EIO, errno.EBADF])
def test_refused_lines_are_reported_after_the_next_written_line(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    refusing = Event()
    refusing.set()
    write = os.write

    def refuse(descriptor: int, content: bytes) -> int:
        if refusing.is_set():
            raise OSError(code, os.strerror(code))
        return write(descriptor, content)

    monkeypatch.setattr(log_writer.os, "write", refuse)
    losses = Losses()
    writer = LogWriter(pipe[1], losses)
    for number in range(3):
        writer.write(line(number))
        assert writer.drain(60, 10), "what is refused is no reason to wait"
    assert losses.counts.empty()
    refusing.clear()
    writer.write(line(3))
    assert losses.counts.get(timeout=10) == 3
    assert read_all(pipe, 100).decode() == line(3)


def test_writing_waits_for_a_non_blocking_descriptor(pipe: Pipe) -> None:
    os.set_blocking(pipe[1], False)
    writer = LogWriter(pipe[1], Losses())
    for number in range(200):
        writer.write(line(number))
    assert read_all(pipe, 200 * 100).decode() == "".join(map(line, range(200)))
    assert writer.drain(60, 10)


def test_text_that_is_not_unicode_is_written(pipe: Pipe) -> None:
    writer = LogWriter(pipe[1], Losses())
    writer.write("bad-\udcff\n")
    assert read_all(pipe, 11) == b"bad-\\udcff\n"
