"""One watched folder while it is desired: when it is scanned, whole or at some names, and why.

Owns the times: a whole scan at start, every `rescan` (every `poll_interval` where there are no events), and when events
were lost; a scan of names when hints name them and when unsettled files are due. One scan at a time, and after each a
pause of several times its duration, so that a storm of events uses at most a fifth of a core. New files do not count
for it: each is scanned once. A single hint is followed at once. Hints only wake the loop: the listing finds the files,
and `folders.intake` decides about them. No error of the folder stops the loop.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from mirrord.aio import batches
from mirrord.declared import FolderSpec
from mirrord.errors import JournalError, SourceTimedOut
from mirrord.events import FolderOverflowed, FolderRescanned
from mirrord.folders.due import MOST_HINTED, PAUSE_OF_DURATION, HintedNames, ScanPace, ScanTimes, pause_after_names
from mirrord.folders.intake import FileIntake
from mirrord.folders.listener import HintListener
from mirrord.folders.missing import MissingFiles
from mirrord.folders.ports import FolderPorts
from mirrord.folders.pruning import Pruning
from mirrord.folders.waiting import WaitingFile, scan_waits
from mirrord.planning.decisions.claims import Claim
from mirrord.planning.decisions.file_removal import QUARANTINE
from mirrord.planning.decisions.prune import ScannedItems, trusted
from mirrord.status import FolderStatus, FolderWait

LEAST_PAUSE = 0.001
"""Seconds after each scan, in which the checks of the files that it found begin before anything is reported."""
BATCH = 64
"""Files that are checked at once: two or three milliseconds of the loop."""


@dataclass(slots=True)
class RunningScan:
    """A whole scan that runs now. `began`: seconds since the epoch; `files`: found so far."""

    began: float
    files: int = 0


class FolderLoop:
    """`await loop.run()` follows the folder until it is cancelled. Run again, it continues with its state."""

    def __init__(self, spec: FolderSpec, ports: FolderPorts) -> None:
        self.spec = spec
        self._ports = ports
        self._intake = FileIntake(spec, ports)
        self._names = HintedNames(spec.times.settle)
        self._times = ScanTimes()
        self._pace = ScanPace()
        self._news = asyncio.Event()
        self._listener = HintListener(spec, ports)
        self._scanned: tuple[FolderRescanned, float] | None = None  # the last whole scan, and when it ended
        self._scan_waits: tuple[FolderWait, ...] = ()  # of the last whole scan
        self._running: RunningScan | None = None
        self._journal_problem: str | None = None
        missing = MissingFiles(
            spec=spec, listing=ports.listing, journal=ports.journal, observer=ports.observer, clock=ports.clock
        )
        self._pruning = Pruning(missing, ports.submit, ports.taken, self._intake.candidates.is_claimed, ports.clock)

    # ── status ───────────────────────────────────────────────────────────────────────────────────
    def status(self) -> FolderStatus:
        """The folder as its last whole scan saw it. Not complete while the folder does not answer."""
        scanned, ended = self._scanned or (None, None)
        down = self._ports.listing.down
        return FolderStatus(
            name=self.spec.entry,
            path=self.spec.path,
            watching=self._watching,
            last_scan=ended,
            files=scanned.files if scanned else 0,
            complete=not down and (scanned is None or scanned.complete),
            problem="; ".join(self._problems()),
            left_out=scanned.left_out if scanned else (),
            waits=(*self._intake.waits(), *self._scan_waits),
            scan_began=self._running.began if self._running else None,
            scan_files=self._running.files if self._running else 0,
        )

    def waiting(self) -> Iterator[WaitingFile]:
        """Files that are unsettled, wait for a marker or are in conflict; see `waiting_files`."""
        return self._intake.waiting()

    def rescan(self) -> None:
        """Scan the whole folder soon."""
        self._want_scan("event")

    async def claim_of(self, source: str, item_id: str) -> Claim | None:
        """See `Conflicts.claim_of`: for `taken` of other loops."""
        return await self._intake.conflicts.claim_of(source, item_id)

    def wants(self, item_id: str) -> bool:
        """Whether a file of this folder that waits, was submitted or is in conflict claims this object."""
        return self._intake.candidates.wants(item_id)

    @property
    def _watching(self) -> str:
        """A folder that does not exist has no events."""
        return "poll" if self._is_missing else self._listener.watching

    @property
    def _is_missing(self) -> bool:
        """Nothing of the folder could be read."""
        return self._scanned is not None and not self._scanned[0].complete and not self._scanned[0].files

    def _problems(self) -> Iterator[str]:
        if down := self._ports.listing.down:
            yield down
        if self._journal_problem:
            yield self._journal_problem
        if self._scanned is not None and self._scanned[0].problem:
            yield self._scanned[0].problem
        yield from self._intake.problems
        if self._pruning.problem:
            yield self._pruning.problem
        if self._listener.problem:
            yield self._listener.problem

    # ── main loop ────────────────────────────────────────────────────────────────────────────────
    async def run(self) -> None:
        """Follow the folder. Ends only by cancellation, or by a programming error."""
        self._times.cause = "start"
        watched = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pruning.run())
                if self.spec.times.watch == "poll":
                    watched.set()
                else:
                    tasks.create_task(self._listener.run(watched.set, self._take, self._lose_events))
                await watched.wait()  # so that the first scan misses no later change
                while True:
                    await self._scan_when_due()
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _scan_when_due(self) -> None:
        clock = self._ports.clock
        began, waited, names = clock.monotonic(), self._intake.waited, set[str]()
        try:
            if cause := self._due_cause(began):
                await self._scan(cause, began)
            elif names := self._due_names(began):
                await self._scan_names(names, began)
            else:
                await self._wait(began)
                return
        except JournalError as error:
            self._journal_problem = f"nothing is queued: {error}"
            await self._try_later()
            return
        except SourceTimedOut:  # the folder does not answer; its status reports that
            await self._try_later()
            return
        self._journal_problem = None
        ended = clock.monotonic()
        took = ended - began - (self._intake.waited - waited)
        pause = pause_after_names(took, len(names), self._intake.new_files)
        if cause:  # hinted files do not wait for the pause after a whole scan
            rest = 0.0 if self._ports.listing.down else min(PAUSE_OF_DURATION * took, self.spec.times.rescan)
            self._times.not_before = ended + rest
        await clock.sleep(LEAST_PAUSE)
        self._intake.report()
        await clock.sleep(max(self._pace.pause(ended), pause) - LEAST_PAUSE)

    async def _try_later(self) -> None:
        self._times.cause = "retry"
        await self._ports.clock.sleep(self._interval)

    async def _wait(self, now: float) -> None:
        """Until something is due, or a hint arrives."""
        dues = (self._scan_due, self._names.next_due, self._intake.candidates.next_due)
        due = min(one for one in dues if one is not None)
        timer = asyncio.create_task(self._wake(max(0.0, due - now)))
        try:
            await self._news.wait()
        finally:
            timer.cancel()
        self._news.clear()

    async def _wake(self, seconds: float) -> None:
        await self._ports.clock.sleep(seconds)
        self._news.set()

    # ── what is due ──────────────────────────────────────────────────────────────────────────────
    @property
    def _interval(self) -> float:
        """Seconds from the start of one whole scan to the start of the next."""
        often = self._watching == "poll" or self._is_missing or self._journal_problem or self._ports.listing.down
        return min(self.spec.times.poll_interval, self.spec.times.rescan) if often else self.spec.times.rescan

    @property
    def _scan_due(self) -> float:
        """When the whole folder is to be scanned (monotonic)."""
        has_room_again = self._intake.candidates.full and not self._intake.candidates.unsettled
        return self._times.due(now_if_possible=has_room_again)

    def _due_cause(self, now: float) -> str | None:
        """Why the whole folder is to be scanned now; None if it is not."""
        if now < self._scan_due:
            return None
        if self._times.cause:
            return self._times.cause
        return "timer" if now >= self._times.next and not self._is_missing else "retry"

    def _due_names(self, now: float) -> set[str]:
        """The names to scan now: hinted ones, unsettled files that are due, and files whose markers were hinted at."""
        names = self._names.take_due(now) | set(self._intake.candidates.due(now))
        return names | self._intake.marked(names)

    def _want_scan(self, cause: str) -> None:
        self._times.want(cause)
        self._news.set()

    # ── scans ────────────────────────────────────────────────────────────────────────────────────
    async def _scan(self, cause: str, began: float) -> None:
        listing = self._ports.listing
        self._times.cause = None
        self._names.forget_wanted()
        self._intake.begin_scan()
        files = await self._see_all(began)
        seen = self._intake.end_scan(listing.complete)
        await self._ports.resume()
        if trusted(complete=listing.complete, files=files):
            await self._offer(seen)
        problems = [f"{one.path}: {one.message}" for one in listing.problems]
        rescanned = FolderRescanned(
            folder=self.spec.entry,
            cause=cause,
            files=files,
            complete=listing.complete,
            duration=self._ports.clock.monotonic() - began,
            problem=_first_of(problems),
            left_out=(*listing.left_out, *self._intake.left_out),
        )
        self._scanned = rescanned, self._ports.clock.now()
        self._scan_waits = tuple(scan_waits(listing))
        self._times.next = began + self._interval
        self._ports.observer(rescanned)

    async def _see_all(self, began: float) -> int:
        """Pass every file of the folder to the intake; returns how many there are."""
        self._running = running = RunningScan(self._ports.clock.now())
        try:
            async with aclosing(batches(self._ports.listing.enumerate(), BATCH)) as found_batches:
                async for batch in found_batches:
                    running.files += len(batch)
                    await self._intake.see(batch, began)
        finally:
            self._running = None
        return running.files

    async def _offer(self, seen: ScannedItems | None) -> None:
        """Pass what a whole scan saw to pruning. None: the folder never deletes objects."""
        if seen is None:
            await self._pruning.missing.keep_root(self._ports.listing.root)
        elif not self.spec.options.suspend:
            seen.root = self._ports.listing.root
            self._pruning.offer(seen)

    async def _scan_names(self, names: set[str], began: float) -> None:
        """Scan these names only, and everything below those that are directories."""
        missing = set(names)
        async with aclosing(batches(self._ports.listing.scan(_outermost(names)), BATCH)) as found_batches:
            async for batch in found_batches:
                missing.difference_update(found.name for found in batch)
                self._names.found(found.name for found in batch)
                await self._intake.see(batch, began)
        for name in missing:
            self._intake.candidates.forget(name)

    # ── hints ────────────────────────────────────────────────────────────────────────────────────
    def _take(self, paths: Iterable[str]) -> None:
        root = self.spec.path.rstrip("/") + "/"
        for path in paths:
            if f"/{QUARANTINE}" in path:
                continue  # a file that is being removed
            if path.startswith(root) and path != root:
                self._names.add(path.removeprefix(root))
            else:
                self._want_scan("event")
        if self._names.is_full:
            self._overflow(f"more than {MOST_HINTED:,} names were hinted at; the folder is scanned instead")
            self._want_scan("event")
        self._news.set()

    def _lose_events(self, error: str | None) -> None:
        """Scan, because changes may have been missed. `error`: why events ended; None: there were none."""
        if error is not None:
            self._overflow(f"events ended, the folder is scanned instead: {error}")
        self._want_scan("retry")

    def _overflow(self, message: str) -> None:
        if not self._times.cause:
            self._ports.observer(FolderOverflowed(folder=self.spec.entry, message=message))
        self._names.clear()


def _outermost(names: set[str]) -> set[str]:
    """The names that are not below another of the names."""

    def is_below_another(name: str) -> bool:
        cuts = (at for at, sign in enumerate(name) if sign == "/")
        return any(name[:at] in names for at in cuts)

    return {name for name in names if not is_below_another(name)}


def _first_of(problems: Sequence[str]) -> str:
    if len(problems) < 2:
        return "".join(problems)
    return f"{problems[0]} (and {len(problems) - 1:,} more)"
