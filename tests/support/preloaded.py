"""A process that has imported all of mirrord and forks for each command that a test runs.

An import takes nearly a second of CPU, a fork a few milliseconds. The child is a separate process with the given
arguments, environment, directory and descriptors, and with its own signals, memory and exit code. It calls
`mirrord.__main__.main` as a fresh interpreter does. Tests of the time before `main`, and of variables that the
interpreter or a library reads at its start, need a fresh interpreter: `command.start` starts one for them.

This module has both sides: `fork` in the process of the tests, `main` in the process that forks (`-m`). Each request is
one message with four descriptors: the three standard streams, and a socket that receives the process id at once and
the exit status at the end.
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
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

import mirrord
from mirrord.engine.clock import SystemClock
from mirrord.engine.stores import is_command
from mirrord.manifest.schema.document import Document
from mirrord.s3.embedded.weed import killed_with_parent
from mirrord.s3.sdk_session import event_handlers, service_models
from mirrord.transfer.retry import PART_RETRY, WRITE_RETRY

REPOSITORY = Path(__file__).resolve().parents[2]
LONGEST_REQUEST = 128 * 1024
_DESCRIPTORS = 4
_IMPORTED_LATER = ("uvloop", "awscrt.checksums", "botocore.utils", "pathspec", "rich.live", "structlog.dev")
"""What mirrord's modules import at the first use."""
_EOF_WITHIN = 5.0
"""Seconds after the end of a process for reading the rest of its outputs. A child of it may keep them open."""


# ── in the process of the tests ───────────────────────────────────────────────────────────────────
class Forked:
    """A forked command, with the part of `asyncio.subprocess.Process` that tests use."""

    stdin = None

    def __init__(self, pid: int, reports: socket.socket, outputs: Sequence["_Output"]) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdout, self.stderr = (one.reader for one in outputs)
        self._outputs = outputs
        self._ended = asyncio.Event()
        self._reports = reports
        asyncio.get_running_loop().add_reader(reports, self._end)

    def _end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._reports)
        self.returncode = os.waitstatus_to_exitcode(int(self._reports.recv(64)))
        self._reports.close()
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
    """The read end of a pipe for an output of the command."""

    def __init__(self, limit: int) -> None:
        self.reader = asyncio.StreamReader(limit)
        self._lost = asyncio.Event()
        super().__init__(self.reader)

    async def open(self, descriptor: int) -> None:
        loop = asyncio.get_running_loop()
        self._pipe, _ = await loop.connect_read_pipe(lambda: self, os.fdopen(descriptor, "rb", 0))

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._lost.set()

    async def closed(self) -> None:
        try:
            async with asyncio.timeout(_EOF_WITHIN):
                await self._lost.wait()
        except TimeoutError:
            self._pipe.close()


async def fork(
    arguments: Sequence[str],
    env: Mapping[str, str],
    cwd: Path | None,
    *,
    limit: int,
    speed: float = 1.0,
    has_reader: bool = True,
) -> Forked:
    """Run `mirrord` with these arguments, stdin empty and both outputs piped; lines may have `limit` bytes.

    `speed`: how many seconds of retries, breakers and schedules pass in one real second. Without `has_reader` the
    reader of stdout has gone.
    """
    ours, theirs = socket.socketpair()
    outputs, given = [_Output(limit), _Output(limit)], [os.open(os.devnull, os.O_RDONLY)]
    for one, is_read in zip(outputs, (has_reader, True), strict=True):
        reading, writing = os.pipe()
        given.append(writing)
        if is_read:
            await one.open(reading)
        else:
            os.close(reading)
            one.connection_lost(None)
    request = json.dumps([list(arguments), dict(env), str(cwd or Path.cwd()), speed]).encode()
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
    """The socket to the process that forks. It is started at the first call and ends with this process."""
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
    """The running commands, each with the socket that receives its exit status."""

    def __init__(self) -> None:
        self._reports: dict[int, socket.socket] = {}
        self.woken, self._waking = os.pipe()
        os.set_blocking(self._waking, False)
        signal.set_wakeup_fd(self._waking)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def add(self, pid: int, reports: socket.socket) -> None:
        self._reports[pid] = reports
        reports.send(b"%d" % pid)

    def reap(self) -> None:
        os.read(self.woken, 4096)
        while self._reports:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            with self._reports.pop(pid) as reports, suppress(OSError):  # the test may be over
                reports.send(b"%d" % status)

    def leave(self) -> None:
        """In a child: close what belongs to the process that forks, and restore its signal handling."""
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        for one in (self.woken, self._waking):
            os.close(one)
        for reports in self._reports.values():
            reports.close()


def _serve(requests: socket.socket) -> bool:
    """Fork for each request. True in a child, which must run its command. False after the last request."""
    children = _Children()
    set_death_signal = killed_with_parent()
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
            if set_death_signal is not None:
                set_death_signal()
            _become(request, descriptors)
            return True
        children.add(pid, socket.socket(fileno=descriptors[-1]))
        for one in descriptors[:-1]:
            os.close(one)


def _become(request: bytes, descriptors: Sequence[int]) -> None:
    """Set descriptors, directory, environment, arguments and clock of this process as the request says."""
    arguments, env, cwd, speed = json.loads(request)
    for number, one in enumerate(descriptors[:-1]):
        os.dup2(one, number)
    for one in descriptors:
        os.close(one)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(cast(dict[str, str], env))
    time.tzset()
    if speed != 1.0:
        _speed_up(speed)
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        _reopen(name, number)
    sys.argv = [str(Path(mirrord.__file__).with_name("__main__.py")), *arguments]


def _speed_up(factor: float) -> None:
    began = time.monotonic()

    async def pause(seconds: float) -> None:
        await asyncio.sleep(seconds / factor)

    async def sleep(self: SystemClock, seconds: float) -> None:
        await pause(seconds)

    def monotonic(self: SystemClock) -> float:
        return began + (time.monotonic() - began) * factor

    SystemClock.sleep, SystemClock.monotonic = sleep, monotonic  # type: ignore[method-assign]
    for policy in (PART_RETRY, WRITE_RETRY):
        object.__setattr__(policy, "sleep", pause)  # a frozen dataclass


def _reopen(name: str, number: int) -> None:
    """Make a standard stream as the interpreter does: its buffering depends on the kind of the new descriptor."""
    old = getattr(sys, name)
    mode, line = ("w" if number else "r"), number == 2 or os.isatty(number)
    stream = os.fdopen(number, mode, 1 if line else -1, encoding=old.encoding, errors=old.errors, closefd=False)
    vars(sys).update({name: stream, f"__{name}__": stream})


def _run() -> None:
    """Run the command and end this process as the interpreter does, but without taking the modules apart.

    That writes to nearly every object, so the kernel would copy all memory that this process shares: 40 ms of CPU.
    """
    try:
        importlib.import_module("mirrord.__main__").main()
    except SystemExit as end:
        if not isinstance(end.code, int):
            raise
        threading._shutdown()  # waits for threads
        atexit._run_exitfuncs()
        gc.collect()  # what the command did not close is reported now
        with suppress(OSError, ValueError):  # the interpreter reports an output that cannot be written
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(end.code)
        raise


def main() -> None:
    requests = socket.socket(fileno=int(sys.argv[1]))
    for module in (*_IMPORTED_LATER, *(one.name for one in pkgutil.walk_packages(mirrord.__path__, "mirrord."))):
        importlib.import_module(module)
    service_models()
    event_handlers()
    Document.model_rebuild()
    gc.freeze()  # a garbage collection would copy these memory pages in every child
    is_command()
    if _serve(requests):
        _run()


if __name__ == "__main__":
    main()
