"""Blocking file-system calls off the event loop: a bounded pool of threads for each root.

Owns the threads, and the rule when a root is down. A root is a folder's directory, or the mount point of a file outside
of folders. A root that hangs (NFS, FUSE, a failing disk) blocks at most `THREADS` threads, which belong to it alone:
the event loop and all other roots go on. The threads are daemon threads, so that a hanging call cannot keep the process
alive; asyncio's own executor is joined at the end of `asyncio.run`. A thread ends when it had no work for a while, so a
pool needs no closing.

Batches: a thread takes the next call without waiting while there are any, and one wake-up of the loop delivers all
results that are ready. So many small calls at once cost less than a thread hop each. A caller also puts what belongs
together into one call: open, check, read and close of a small file, or 64 names of a scan.

What a call does with its file is the caller's task (`file`, `folder`). A call must return its own data, or change only
what nothing else uses: its caller may be gone when it ends.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, Generic, TypeVar

from mirrord.errors import SourceTimedOut
from mirrord.sources.mounts import Mounts, mount_of

T = TypeVar("T")

THREADS = 2
"""Most threads of one root."""
SILENCE = 30.0
"""Seconds without an answer until a call fails and the root is down."""
IDLE = 5.0
"""Seconds without work until a thread ends."""
MOUNTS_FOR = 10.0
"""Seconds for which a list of mounts is used."""


@dataclass(slots=True, eq=False)
class _Call(Generic[T]):
    """One call. The thread writes `began`, `result` and `error`; everything else belongs to the loop."""

    work: Callable[[], T] | None  # None after the call, so that nothing of its caller is kept
    future: asyncio.Future[T]
    drop: Callable[[T], object] | None
    surely: bool = False  # also made if its caller does not wait any more
    began: float | None = None  # monotonic; None while it waits for a thread
    result: T | None = None
    error: BaseException | None = None


class _Threads:
    """The threads of one root. `deliver` is called in the loop when results are ready."""

    def __init__(self, root: str, deliver: Callable[[], None]) -> None:
        self._root = root
        self._deliver = deliver
        self._lock = threading.Lock()  # a thread ends only while no call waits
        self._waiting: SimpleQueue[_Call[Any] | None] = SimpleQueue()  # None: the thread that takes it ends
        self._count = 0
        self._making: dict[int, _Call[Any]] = {}  # by thread
        self._done: deque[_Call[Any]] = deque()
        self._woken = False

    # ── in the loop ───────────────────────────────────────────────────────────────────────────────
    def submit(self, call: _Call[Any], wanted: int) -> None:
        """Add a call, to be made by at most `wanted` threads."""
        with self._lock:
            self._waiting.put(call)
            if self._count < min(THREADS, wanted):
                self._count += 1
                threading.Thread(target=self._serve, name=f"files {self._root}", daemon=True).start()

    def rest(self) -> None:
        """End the threads after the waiting calls."""
        with self._lock:
            for _ in range(self._count):
                self._waiting.put(None)
            self._count = 0

    def take_done(self) -> Iterator[_Call[Any]]:
        """The calls that were made since the last time."""
        self._woken = False
        while self._done:
            yield self._done.popleft()

    # ── in the threads ────────────────────────────────────────────────────────────────────────────
    def alive(self) -> None:
        """See `FilePool.alive`."""
        if call := self._making.get(threading.get_ident()):
            call.began = monotonic()

    def _serve(self) -> None:
        while self._served():
            pass

    def _served(self) -> bool:
        """Make the next call. Keeps nothing of it: a view that a thread keeps would keep its buffer."""
        call = self._next()
        if call is None:
            return False
        work = call.work
        if work is not None and (call.surely or not call.future.done()):
            self._making[threading.get_ident()] = call
            call.began = monotonic()
            try:
                call.result = work()
            except BaseException as error:  # noqa: BLE001 - raised again in the caller
                call.error = error
        call.work = work = None
        self._making.pop(threading.get_ident(), None)
        self._finish(call)
        return True

    def _next(self) -> _Call[Any] | None:
        """The next call; None: the thread ends."""
        while True:
            with suppress(Empty):
                return self._waiting.get(timeout=IDLE)
            with self._lock:
                if self._waiting.empty():
                    self._count -= 1
                    return None

    def _finish(self, call: _Call[Any]) -> None:
        self._done.append(call)
        if not self._woken:  # otherwise the pending wake-up delivers this result too
            self._woken = True
            with suppress(RuntimeError):  # the loop is closed: no caller waits any more
                call.future.get_loop().call_soon_threadsafe(self._deliver)


class FilePool:
    """`await pool.run(work)` makes the call `work()` in a thread. Belongs to one event loop.

    `silence` in seconds. `patient`: a call that began may take any time; calls that wait for a thread still fail.
    """

    def __init__(self, root: str, *, silence: float = SILENCE, patient: bool = False) -> None:
        self._root = root
        self._silence = silence
        self._patient = patient
        self._problem: str | None = None
        self._open: dict[_Call[Any], None] = {}  # calls that wait or run, in order
        self._hung: set[_Call[Any]] = set()  # calls that run for longer than `silence`
        self._answered = 0.0  # when the last call ended (monotonic)
        self._timer: asyncio.TimerHandle | None = None
        self._threads = _Threads(root, self._deliver)

    @property
    def problem(self) -> str | None:
        """Why the root is down; None while it answers."""
        return self._problem

    async def run(self, work: Callable[[], T], drop: Callable[[T], object] | None = None, *, surely: bool = False) -> T:
        """The result of `work()`, made in a thread. Raises what it raises.

        Raises SourceTimedOut if it takes longer than `silence`, and at once while all threads are blocked for longer
        than that. After that, and after a cancellation, the call may still run: its late result is passed to `drop` in
        a thread of this pool, and the root is up again. A call that has not begun is not made any more, except with
        `surely`: for what must be closed.
        """
        call: _Call[T] = _Call(work, asyncio.get_running_loop().create_future(), drop, surely)
        if len(self._hung) >= THREADS:
            if surely:
                self._submit_late(call)
            raise self._unavailable()
        self._submit(call)
        if self._timer is None:
            self._watch(self._silence)
        try:
            return await call.future
        finally:
            if call.began is None and not surely:  # cancelled before it began: keep nothing of its caller
                call.work = None

    def rest(self) -> None:
        """End the threads after the waiting calls, instead of after `IDLE` seconds."""
        self._threads.rest()

    def alive(self) -> None:
        """Called in the thread of a long call: the call makes progress, so its `silence` starts again."""
        self._threads.alive()

    def _submit(self, call: _Call[Any]) -> None:
        self._open[call] = None
        self._threads.submit(call, len(self._open) + len(self._hung))

    def _submit_late(self, call: _Call[Any]) -> None:
        """Have the call made as soon as a thread is free. No caller waits for it."""
        call.future.cancel()
        self._submit(call)

    def _deliver(self) -> None:
        for call in self._threads.take_done():
            self._open.pop(call, None)
            self._hung.discard(call)
            if call.began is not None:
                self._answered, self._problem = monotonic(), None
            self._resolve(call)

    def _resolve(self, call: _Call[Any]) -> None:
        if not call.future.done():
            if call.error is not None:
                call.future.set_exception(call.error)
            else:
                call.future.set_result(call.result)
        elif call.drop is not None and call.error is None and call.began is not None:
            late = _dropping(call.drop, call.result)
            self._submit_late(_Call(late, call.future.get_loop().create_future(), None, surely=True))

    def _watch(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._check)

    def _check(self) -> None:
        """Fail overdue calls, and all waiting calls if no thread is left."""
        self._timer, now = None, monotonic()
        for call in [one for one in self._open if one.began is not None and now - one.began >= self._silence]:
            self._problem = self._problem or self._silent(call)
            self._hung.add(call)
            del self._open[call]
            if not self._patient:
                self._fail(call)
        if len(self._hung) >= THREADS:
            for call in self._open:
                self._fail(call)
        if self._open:
            dues = (now if one.began is None else one.began for one in self._open)
            self._watch(max(0.01, min(dues) + self._silence - now))

    def _silent(self, call: _Call[Any]) -> str | None:
        """Why the root is down; None if any call was answered since this one began."""
        assert call.began is not None
        return None if self._answered > call.began else f"{self._root} has not answered for {self._silence:g} s"

    def _fail(self, call: _Call[Any]) -> None:
        if not call.future.done():
            call.future.set_exception(self._unavailable())

    def _unavailable(self) -> SourceTimedOut:
        return SourceTimedOut(self._problem or f"{self._root}: a call has not been answered for {self._silence:g} s")


def _dropping(drop: Callable[[T], object], result: T) -> Callable[[], object]:
    return lambda: drop(result)


class FilePools:
    """The pools of one process, one for each root."""

    def __init__(self, *, silence: float = SILENCE, patient: bool = False) -> None:
        self._silence = silence
        self._patient = patient
        self._pools: dict[str, FilePool] = {}
        self._mounts = Mounts()
        self._mounts_until = 0.0

    def of_root(self, root: str) -> FilePool:
        """The pool of the folder at `root` (absolute)."""
        if root not in self._pools:
            self._pools[root] = FilePool(root, silence=self._silence, patient=self._patient)
        return self._pools[root]

    def of_file(self, path: str) -> FilePool:
        """The pool of a file outside of folders (absolute): that of the mount of its path, as written."""
        now = monotonic()
        if now >= self._mounts_until:
            self._mounts, self._mounts_until = Mounts.now(), now + MOUNTS_FOR
        mount = mount_of(path, self._mounts.mounts)
        return self.of_root(mount.point if mount is not None else "/")
