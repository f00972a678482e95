"""One watched folder for as long as it is desired: when it is looked at, in whole or in places, and by what cause.

Owns the times: a whole scan at start, every `rescan` (`poll_interval` where there are no events), and when events were
lost; a look in places when hints name them and when unsettled files are due. One at a time, and after each a pause
as long as several of it, so that no storm of events takes more than a fifth of a core. Hints only wake it: what is
there, the listing says; what becomes of it, `folders.intake`. Nothing that befalls the folder ends the loop.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import aclosing
from itertools import takewhile
from logging import getLogger

from mirrord.aio import batches, drain
from mirrord.declared import FolderSpec
from mirrord.errors import JournalError, SourceTimedOut
from mirrord.events import FolderOverflowed, FolderRescanned
from mirrord.folders.intake import FileIntake
from mirrord.folders.missing import MissingFiles
from mirrord.folders.ports import FolderPorts
from mirrord.folders.pruning import Pruning
from mirrord.folders.waiting import WaitingFile
from mirrord.planning.decisions.file_removal import QUARANTINE
from mirrord.planning.decisions.prune import ScannedItems, trusted
from mirrord.ports import Hints
from mirrord.status import FolderStatus

_log = getLogger(__name__)

LEAST_PAUSE = 0.02
"""Seconds after a look or scan."""
PAUSE_OF_DURATION = 4.0
"""At least this many times as long as a look took is the pause after it; as a scan took, that until the next scan."""
MOST_HINTED = 10_000
"""Names that are looked at by themselves; more hints than that lead to a whole scan."""
AGAIN = 1.0
"""Seconds, at least, until a hinted name with no file is looked at once more: files may come into a new directory
before the kernel's watch on it stands."""
EVENTS_AGAIN = 60.0
"""Seconds until events are asked for again after they failed."""
BATCH = 64
"""Files that are judged in one go: two or three milliseconds of the loop."""


class FolderLoop:
    """`await loop.run()` follows the folder until it is cancelled; run again, it goes on with what it knows."""

    def __init__(self, spec: FolderSpec, ports: FolderPorts) -> None:
        self.spec = spec
        self._ports = ports
        self._intake = FileIntake(spec, ports)
        self._wanted: set[str] = set()  # hinted names
        self._again: dict[str, float] = {}  # names to look at once more -> when
        self._cause = "start"  # of the whole scan that is wanted; empty: none is
        self._news = asyncio.Event()
        self._hints: Hints | None = None
        self._no_events = ""
        self._next_scan = self._no_scan_before = 0.0
        self._scanned: FolderRescanned | None = None
        self._last_scan: float | None = None
        self._journal_problem = ""
        self._missing_files = MissingFiles(
            spec=spec, listing=ports.listing, journal=ports.journal, observer=ports.observer, clock=ports.clock
        )
        is_claimed = self._intake.candidates.is_claimed
        self._pruning = Pruning(self._missing_files, ports.submit, ports.taken, is_claimed, ports.clock)

    # ── what others see ──────────────────────────────────────────────────────────────────────────
    def status(self) -> FolderStatus:
        """The folder as its last whole scan saw it; not complete while it does not answer."""
        scanned, down = self._scanned, self._ports.listing.down
        return FolderStatus(
            name=self.spec.entry,
            path=self.spec.path,
            watching=self._watching,
            last_scan=self._last_scan,
            files=scanned.files if scanned else 0,
            complete=not down and (scanned is None or scanned.complete),
            problem="; ".join(self._problems()),
            left_out=scanned.left_out if scanned else (),
        )

    def waiting(self) -> Iterator[WaitingFile]:
        """Files that wait to be settled or marked, and files in conflict; see `waiting_files`."""
        return self._intake.waiting()

    def rescan(self) -> None:
        """Scan the whole folder soon."""
        self._want_scan("event")

    async def has(self, source: str, item_id: str) -> bool:
        """Whether a file of this folder, by its address, stands now and has that object: for other loops' `taken`."""
        return await self._intake.conflicts.has(source, item_id)

    @property
    def _watching(self) -> str:
        """A folder that is not there gives no events, whatever would tell of them."""
        return "poll" if self._hints is None or self._is_missing else self._hints.watching

    @property
    def _is_missing(self) -> bool:
        """Nothing of the folder could be read."""
        scanned = self._scanned
        return scanned is not None and not scanned.complete and not scanned.files

    def _problems(self) -> Iterator[str]:
        if down := self._ports.listing.down:
            yield down
        if self._journal_problem:
            yield self._journal_problem
        if self._scanned is not None and self._scanned.problem:
            yield self._scanned.problem
        yield from self._intake.problems
        if self._pruning.problem:
            yield self._pruning.problem
        if self._hints is not None and self._hints.problem:
            yield self._hints.problem
        elif self._no_events:
            yield self._no_events

    # ── life ─────────────────────────────────────────────────────────────────────────────────────
    async def run(self) -> None:
        """Follow the folder. Ends only by cancellation, or by a fault of ours."""
        self._cause = "start"
        watched = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pruning.run())
                if self.spec.times.watch == "poll":
                    watched.set()
                else:
                    tasks.create_task(self._listen(watched))
                await watched.wait()  # so that the first scan misses nothing that comes after it
                while True:
                    await self._look_when_due()
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _look_when_due(self) -> None:
        clock = self._ports.clock
        began, held_up = clock.monotonic(), self._intake.held_up
        try:
            if cause := self._due_cause(began):
                await self._scan(cause, began)
            elif names := self._due_names(began):
                await self._look(names, began)
            else:
                await self._wait(began)
                return
        except JournalError as error:
            self._journal_problem = f"nothing is queued: {error}"
            await self._try_later()
            return
        except SourceTimedOut:  # the folder does not answer, as its status says
            await self._try_later()
            return
        self._journal_problem = ""
        self._intake.tell()
        ended = clock.monotonic()
        pause = PAUSE_OF_DURATION * (ended - began - (self._intake.held_up - held_up))
        if cause:  # files that are hinted at need not wait that long
            pause = 0.0 if self._ports.listing.down else min(pause, self.spec.times.rescan)
            self._no_scan_before, pause = ended + pause, 0.0
        await clock.sleep(max(LEAST_PAUSE, pause))

    async def _try_later(self) -> None:
        self._cause = "retry"
        await self._ports.clock.sleep(self._interval)

    async def _wait(self, now: float) -> None:
        """Until something is due, or news come."""
        dues = (self._scan_due, next(iter(self._again.values()), None), self._intake.candidates.next_due)
        due = min(one for one in dues if one is not None)
        timer = asyncio.ensure_future(self._ports.clock.sleep(max(0.0, due - now)))
        news = asyncio.ensure_future(self._news.wait())
        try:
            await asyncio.wait((timer, news), return_when=asyncio.FIRST_COMPLETED)
        finally:
            await drain((timer, news))
        self._news.clear()

    # ── what is due ──────────────────────────────────────────────────────────────────────────────
    @property
    def _interval(self) -> float:
        """Seconds from the beginning of one scan to that of the next."""
        often = self._watching == "poll" or self._is_missing or self._journal_problem or self._ports.listing.down
        return min(self.spec.times.poll_interval, self.spec.times.rescan) if often else self.spec.times.rescan

    @property
    def _scan_due(self) -> float:
        """When the whole folder is to be scanned (monotonic)."""
        room_again = self._intake.candidates.full and not self._intake.candidates.unsettled
        return self._no_scan_before if self._cause or room_again else max(self._no_scan_before, self._next_scan)

    def _due_cause(self, now: float) -> str:
        """Why the whole folder is to be scanned now; empty if it is not."""
        if now < self._scan_due:
            return ""
        if self._cause:
            return self._cause
        return "timer" if now >= self._next_scan and not self._is_missing else "retry"

    def _due_names(self, now: float) -> set[str]:
        """The names to look at now. The hinted ones come again after a while, for there may be more to come."""
        again = set(takewhile(lambda name: self._again[name] <= now, self._again))
        for name in again:
            del self._again[name]
        for name in self._wanted - again:
            self._again.setdefault(name, now + max(AGAIN, self.spec.times.settle))
        names = self._wanted | again | set(self._intake.candidates.due(now))
        names |= self._intake.marked(names)
        self._wanted.clear()
        return names

    def _want_scan(self, cause: str) -> None:
        self._cause = self._cause or cause
        self._news.set()

    # ── looks ────────────────────────────────────────────────────────────────────────────────────
    async def _scan(self, cause: str, began: float) -> None:
        listing, files = self._ports.listing, 0
        self._cause = ""
        self._wanted.clear()
        self._intake.begin_scan()
        async with aclosing(batches(listing.enumerate(), BATCH)) as places:
            async for batch in places:
                files += len(batch)
                await self._intake.see(batch, began)
        seen = self._intake.end_scan(listing.complete)
        await self._ports.resume()
        if trusted(complete=listing.complete, files=files):
            await self._offer(seen)
        problems = [f"{trouble.path}: {trouble.message}" for trouble in listing.problems]
        self._scanned = FolderRescanned(
            folder=self.spec.entry,
            cause=cause,
            files=files,
            complete=listing.complete,
            duration=self._ports.clock.monotonic() - began,
            problem=_first_of(problems),
            left_out=(*listing.left_out, *self._intake.left_out),
        )
        self._last_scan = self._ports.clock.now()
        self._next_scan = began + self._interval
        self._ports.observer(self._scanned)

    async def _offer(self, seen: ScannedItems | None) -> None:
        """What a whole scan saw; None where nothing is ever deleted."""
        if seen is None:
            await self._missing_files.keep_root(self._ports.listing.root)
        elif not self.spec.options.suspend:
            seen.root = self._ports.listing.root
            self._pruning.offer(seen)

    async def _look(self, names: set[str], began: float) -> None:
        """Look at these names only, and below those that are directories."""
        missing = set(names)
        async with aclosing(batches(self._ports.listing.scan(_outermost(names)), BATCH)) as places:
            async for batch in places:
                missing.difference_update(found.name for found in batch)
                for found in batch:
                    self._again.pop(found.name, None)
                await self._intake.see(batch, began)
        for name in missing:
            self._intake.candidates.forget(name)

    # ── hints ────────────────────────────────────────────────────────────────────────────────────
    async def _listen(self, watched: asyncio.Event) -> None:
        """Take hints for ever; where none are to be had, ask for them again after a while."""
        while True:
            try:
                async with self._ports.watch() as hints:
                    self._hints = hints
                    if self._no_events:
                        self._no_events = ""
                        self._want_scan("retry")
                    watched.set()
                    while True:
                        self._take(await hints.changed())
            except OSError as error:
                self._lose_events(str(error))
            finally:
                self._hints = None
            watched.set()
            await self._ports.clock.sleep(EVENTS_AGAIN)

    def _take(self, paths: Iterable[str]) -> None:
        root = self.spec.path.rstrip("/") + "/"
        for path in paths:
            if f"/{QUARANTINE}" in path:
                continue  # a file of ours on its way out
            if path.startswith(root) and path != root:
                self._wanted.add(path.removeprefix(root))
            else:
                self._want_scan("event")
        if max(len(self._wanted), len(self._again)) > MOST_HINTED:
            self._overflow(f"more than {MOST_HINTED:,} names were hinted at; the folder is scanned instead")
            self._want_scan("event")
        self._news.set()

    def _lose_events(self, error: str) -> None:
        if not self._no_events:
            _log.warning(
                "no events for %s, it is scanned every %g s: %s", self.spec.path, self.spec.times.poll_interval, error
            )
        if self._hints is not None:
            self._overflow(f"events ended, the folder is scanned instead: {error}")
        self._no_events = f"no events, scanned every {self.spec.times.poll_interval:g} s: {error}"
        self._want_scan("retry")

    def _overflow(self, message: str) -> None:
        if not self._cause:
            self._ports.observer(FolderOverflowed(folder=self.spec.entry, message=message))
        self._wanted.clear()
        self._again.clear()


def _outermost(names: set[str]) -> set[str]:
    """The names without those below another one."""

    def is_below_another(name: str) -> bool:
        cuts = (at for at, sign in enumerate(name) if sign == "/")
        return any(name[:at] in names for at in cuts)

    return {name for name in names if not is_below_another(name)}


def _first_of(problems: Sequence[str]) -> str:
    if len(problems) < 2:
        return "".join(problems)
    return f"{problems[0]} (and {len(problems) - 1:,} more)"
