"""Blocking file-system calls off the event loop: a bounded pool of threads for each root.

Owns the threads and the rule of silence. A root is a folder's directory, or the mount point of a file outside of
folders. A root that hangs (NFS, FUSE, a dying disk) can block at most `THREADS` threads, which belong to it alone: the
loop and all other roots go on. The threads are daemon threads, so that a hung call cannot keep the process alive;
asyncio's own executor is joined at the end of `asyncio.run`. They end when there was no work for a while, so that a
pool needs no closing.

Batches: a thread takes the next call without waiting while there are any, and answers go to the loop in one wake-up
for all that came since the last. So many small calls at once cost less than a thread hop each. A caller also makes
one call of what belongs together: stat, open and read of a small file, 64 names of a scan.

What a call does to its file is the caller's business (`file`, `folder`). A call returns its own data or changes only
what nobody else uses: the caller may be gone when it ends.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, Generic, TypeVar

from mirrord.errors import SourceTimedOut
from mirrord.sources.mounts import Mounts, mount_of

T = TypeVar("T")

THREADS = 2
"""Threads of one root, at most."""
SILENCE = 30.0
"""Seconds without an answer after which a call has failed, and the root is down."""
IDLE = 5.0
"""Seconds without work after which a thread ends."""
MOUNTS_FOR = 10.0
"""Seconds for which a list of mounts is used."""


@dataclass(slots=True, eq=False)
class _Call(Generic[T]):
    """One call. The thread writes `began`, `result` and `error`; all else belongs to the loop."""

    work: Callable[[], T] | None  # None once it was made, so that nothing of its caller is kept
    future: asyncio.Future[T]
    drop: Callable[[T], object] | None
    began: float | None = None  # monotonic; None while it waits for a thread
    result: T | None = None
    error: BaseException | None = None


class FilePool:
    """`await pool.run(work)` makes the call `work()` in a thread. Belongs to one event loop.

    `silence` in seconds. `patient`: a call that was begun is awaited however long it takes; what waits behind it
    fails all the same.
    """

    def __init__(self, root: str, *, silence: float = SILENCE, patient: bool = False) -> None:
        self._root = root
        self._silence = silence
        self._patient = patient
        self._problem = ""
        self._open: dict[_Call[Any], None] = {}  # waiting, or under way; in order
        self._hung: set[_Call[Any]] = set()  # under way for longer than `silence`
        self._answered = 0.0  # when the last answer came (monotonic)
        self._timer: asyncio.TimerHandle | None = None
        self._lock = threading.Lock()  # a thread ends only while no call waits
        self._waiting: SimpleQueue[_Call[Any] | None] = SimpleQueue()  # None: its taker ends
        self._threads = 0
        self._making: dict[int, _Call[Any]] = {}  # by thread
        self._answers: deque[_Call[Any]] = deque()
        self._woken = False

    @property
    def problem(self) -> str:
        """Why the root is down; empty while it answers."""
        return self._problem

    async def run(self, work: Callable[[], T], drop: Callable[[T], object] | None = None) -> T:
        """The result of `work()`, made in a thread. Raises what it raises.

        Raises SourceTimedOut if it takes longer than `silence`, or at once while all threads are blocked for
        longer than that. Then, and after a cancellation, the call may still go on: its late result is handed to
        `drop` in a thread of this pool, and the root is up again.
        """
        if len(self._hung) >= THREADS:
            raise self._unavailable()
        call: _Call[T] = _Call(work, asyncio.get_running_loop().create_future(), drop)
        self._open[call] = None
        self._submit(call)
        if self._timer is None:
            self._watch(self._silence)
        try:
            return await call.future
        finally:
            if call.began is None:  # cancelled before it was begun: it keeps nothing of its caller
                call.work = None

    def _submit(self, call: _Call[Any]) -> None:
        with self._lock:
            self._waiting.put(call)
            if self._threads < min(THREADS, len(self._open) + len(self._hung)):
                self._threads += 1
                threading.Thread(target=self._serve, name=f"files {self._root}", daemon=True).start()

    def rest(self) -> None:
        """Let the threads end now, after what waits, rather than when they were idle for a while."""
        with self._lock:
            for _ in range(self._threads):
                self._waiting.put(None)
            self._threads = 0

    def alive(self) -> None:
        """Called from a call that takes long, in its thread: it makes progress, so its silence begins anew."""
        if call := self._making.get(threading.get_ident()):
            call.began = monotonic()

    # ── in the threads ────────────────────────────────────────────────────────────────────────────
    def _serve(self) -> None:
        while self._served():
            pass

    def _served(self) -> bool:
        """Make the next call. Keeps nothing of it: a view that the thread still holds would keep its buffer."""
        call = self._next()
        if call is None:
            return False
        work = call.work
        if work is not None and not call.future.done():
            self._making[threading.get_ident()] = call
            call.began = monotonic()
            try:
                call.result = work()
            except BaseException as error:  # noqa: BLE001 - raised again in the caller
                call.error = error
        call.work = work = None
        self._making.pop(threading.get_ident(), None)
        self._answer(call)
        return True

    def _next(self) -> _Call[Any] | None:
        """The next call; None: the thread ends."""
        while True:
            with suppress(Empty):
                return self._waiting.get(timeout=IDLE)
            with self._lock:
                if self._waiting.empty():
                    self._threads -= 1
                    return None

    def _answer(self, call: _Call[Any]) -> None:
        self._answers.append(call)
        if not self._woken:  # else the loop is on its way, and takes this answer too
            self._woken = True
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                call.future.get_loop().call_soon_threadsafe(self._deliver)

    # ── in the loop ───────────────────────────────────────────────────────────────────────────────
    def _deliver(self) -> None:
        self._woken = False
        while self._answers:
            call = self._answers.popleft()
            self._open.pop(call, None)
            self._hung.discard(call)
            if call.began is not None:
                self._answered, self._problem = monotonic(), ""
            self._settle(call)

    def _settle(self, call: _Call[Any]) -> None:
        if not call.future.done():
            if call.error is not None:
                call.future.set_exception(call.error)
            else:
                call.future.set_result(call.result)
        elif call.drop is not None and call.error is None and call.began is not None:
            late = _Call(_dropping(call.drop, call.result), call.future.get_loop().create_future(), None)
            self._open[late] = None
            self._submit(late)

    def _watch(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._check)

    def _check(self) -> None:
        """Fail what is overdue, and all that waits once no thread is left."""
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

    def _silent(self, call: _Call[Any]) -> str:
        """Why the root is down, if nothing was answered since the call began."""
        assert call.began is not None
        return "" if self._answered > call.began else f"{self._root} has not answered for {self._silence:g} s"

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
        """The pool of a file outside of folders (absolute): of the mount that its path, as it is written, is on."""
        now = monotonic()
        if now >= self._mounts_until:
            self._mounts, self._mounts_until = Mounts.now(), now + MOUNTS_FOR
        mount = mount_of(path, self._mounts.mounts)
        return self.of_root(mount.point if mount is not None else "/")
