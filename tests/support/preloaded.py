"""A process that has imported all of mirrord and forks for each command that a test runs.

An import costs nearly a second of CPU, a fork a few milliseconds. The child is a process of its own with the given
arguments, environment, directory and descriptors; it enters `mirrord.__main__.main` as a fresh interpreter does, and
signals, memory and exit code are its own. What happens before `main`, and what an interpreter or a library reads from
the environment when it starts, is not seen this way: `command.start` then starts a fresh interpreter.

This module is both sides: `fork` in the process of the tests, `main` in the process that forks (`-m`). Each request is
one message with four descriptors: the three standard streams, and a socket that is told the process id at once and the
exit status at the end.
"""

import asyncio
import atexit
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

import mirrord
from mirrord.engine.clock import SystemClock
from mirrord.s3.weed import killed_with_parent
from mirrord.transfer.retry import PART_RETRY, WRITE_RETRY

REPOSITORY = Path(__file__).resolve().parents[2]
LONGEST_REQUEST = 128 * 1024
_DESCRIPTORS = 4
_EOF_WITHIN = 5.0
"""Seconds after its end in which the outputs of a process are read to their ends. A child of it may hold them open."""


# ── in the process of the tests ───────────────────────────────────────────────────────────────────
class Forked:
    """A command that was forked; as much of `asyncio.subprocess.Process` as tests use."""

    stdin = None

    def __init__(self, pid: int, told: socket.socket, outputs: Sequence["_Output"]) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdout, self.stderr = (one.reader for one in outputs)
        self._outputs = outputs
        self._ended = asyncio.Event()
        self._told = told
        asyncio.get_running_loop().add_reader(told, self._end)

    def _end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._told)
        self.returncode = os.waitstatus_to_exitcode(int(self._told.recv(64)))
        self._told.close()
        self._ended.set()

    async def wait(self) -> int:
        await self._ended.wait()
        await asyncio.gather(*(one.closed() for one in self._outputs))
        assert self.returncode is not None
        return self.returncode

    async def communicate(self) -> tuple[bytes, bytes]:
        out, err, _ = await asyncio.gather(self.stdout.read(), self.stderr.read(), self.wait())
        return out, err

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class _Output(asyncio.StreamReaderProtocol):
    """The end of a pipe that we read."""

    def __init__(self, limit: int) -> None:
        self.reader = asyncio.StreamReader(limit)
        self._gone = asyncio.Event()
        super().__init__(self.reader)

    async def open(self, descriptor: int) -> None:
        loop = asyncio.get_running_loop()
        self._pipe, _ = await loop.connect_read_pipe(lambda: self, os.fdopen(descriptor, "rb", 0))

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._gone.set()

    async def closed(self) -> None:
        try:
            async with asyncio.timeout(_EOF_WITHIN):
                await self._gone.wait()
        except TimeoutError:
            self._pipe.close()


async def fork(
    arguments: Sequence[str], env: Mapping[str, str], cwd: Path | None, *, limit: int, hurry: float = 1.0
) -> Forked:
    """Run `mirrord` with these arguments, stdin empty and both outputs piped; lines may have `limit` bytes.

    `hurry`: how many seconds pass in one for retries, breakers and schedules.
    """
    ours, theirs = socket.socketpair()
    outputs, given = [_Output(limit), _Output(limit)], [os.open(os.devnull, os.O_RDONLY)]
    for one in outputs:
        reading, writing = os.pipe()
        await one.open(reading)
        given.append(writing)
    request = json.dumps([list(arguments), dict(env), str(cwd or Path.cwd()), hurry]).encode()
    assert len(request) < LONGEST_REQUEST
    with theirs:
        socket.send_fds(_forking_process(), [request], [*given, theirs.fileno()])
    for descriptor in given:
        os.close(descriptor)
    ours.setblocking(False)
    pid = int(await asyncio.get_running_loop().sock_recv(ours, 64))
    return Forked(pid, ours, outputs)


_started: list[socket.socket] = []


def _forking_process() -> socket.socket:
    """Where requests go: a process that is started when it is first needed, and that ends with this one."""
    if not _started:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * LONGEST_REQUEST)
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                preexec_fn=killed_with_parent(),
            )
        _started.append(ours)
        atexit.register(_end, process)
    return _started[0]


def _end(process: subprocess.Popen[bytes]) -> None:
    _started.pop().close()
    process.wait()


# ── in the process that forks ─────────────────────────────────────────────────────────────────────
class _Children:
    """The commands that run, each with the socket that is told of its end."""

    def __init__(self) -> None:
        self._told: dict[int, socket.socket] = {}
        self.woken, self._waking = os.pipe()
        os.set_blocking(self._waking, False)
        signal.set_wakeup_fd(self._waking)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def add(self, pid: int, told: socket.socket) -> None:
        self._told[pid] = told
        told.send(b"%d" % pid)

    def reap(self) -> None:
        os.read(self.woken, 4096)
        while self._told:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            with self._told.pop(pid) as told, suppress(OSError):  # the test may be over
                told.send(b"%d" % status)

    def leave(self) -> None:
        """In a child: none of this is its business."""
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        for one in (self.woken, self._waking):
            os.close(one)
        for told in self._told.values():
            told.close()


def _serve(requests: socket.socket) -> bool:
    """Fork for each request. True: this is a child that is to run its command. False: there are no more requests."""
    children = _Children()
    dies = killed_with_parent()
    while True:
        ready, _, _ = select.select([requests, children.woken], [], [])
        if children.woken in ready:
            children.reap()
        if requests not in ready:
            continue
        request, descriptors, _, _ = socket.recv_fds(requests, LONGEST_REQUEST, _DESCRIPTORS)
        if not request:
            return False
        if (pid := os.fork()) == 0:
            children.leave()
            requests.close()
            if dies is not None:
                dies()
            _become(request, descriptors)
            return True
        children.add(pid, socket.socket(fileno=descriptors[-1]))
        for one in descriptors[:-1]:
            os.close(one)


def _become(request: bytes, descriptors: Sequence[int]) -> None:
    """Make this the process that was asked for, in all that an exec would have given it."""
    arguments, env, cwd, hurry = json.loads(request)
    for number, one in enumerate(descriptors[:-1]):
        os.dup2(one, number)
    for one in descriptors:
        os.close(one)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(cast(dict[str, str], env))
    time.tzset()
    if hurry != 1.0:
        _hurry(hurry)
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        _reopen(name, number)
    sys.argv = [str(Path(mirrord.__file__).with_name("__main__.py")), *arguments]


def _hurry(factor: float) -> None:
    began = time.monotonic()

    async def pause(seconds: float) -> None:
        await asyncio.sleep(seconds / factor)

    async def sleep(self: SystemClock, seconds: float) -> None:
        await pause(seconds)

    def monotonic(self: SystemClock) -> float:
        return began + (time.monotonic() - began) * factor

    SystemClock.sleep, SystemClock.monotonic = sleep, monotonic  # type: ignore[method-assign]
    for policy in (PART_RETRY, WRITE_RETRY):
        object.__setattr__(policy, "sleep", pause)  # frozen


def _reopen(name: str, number: int) -> None:
    """A standard stream as the interpreter makes it: it looks at the descriptor, which may be of another kind now."""
    old = getattr(sys, name)
    mode, line = ("w" if number else "r"), number == 2 or os.isatty(number)
    stream = os.fdopen(number, mode, 1 if line else -1, encoding=old.encoding, errors=old.errors, closefd=False)
    vars(sys).update({name: stream, f"__{name}__": stream})


def main() -> None:
    requests = socket.socket(fileno=int(sys.argv[1]))
    for module in ("uvloop", *(one.name for one in pkgutil.walk_packages(mirrord.__path__, "mirrord."))):
        importlib.import_module(module)
    gc.freeze()  # a collection would copy these pages in every child
    if _serve(requests):
        importlib.import_module("mirrord.__main__").main()


if __name__ == "__main__":
    main()
