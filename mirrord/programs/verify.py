"""`verify`: compares objects with the journal, and with their local files where these exist. Reads only, takes no lock.

Owns the choice of the objects: those of the manifests' mirrors, and the recorded ones of their folders. A daemon may
run at the same time: a difference counts only if the record is still the same after the comparison.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

from mirrord.engine.clock import SystemClock
from mirrord.engine.read_only_journal import read_journal
from mirrord.engine.stores import Stores
from mirrord.errors import JournalError, MirrordError, Problem, Recovery, SourceMissing
from mirrord.frozen import frozen
from mirrord.model import ChecksumKind, Destination, File, FileIdentity, Record, Revision, file_path
from mirrord.ports import JournalQueries, Observer
from mirrord.programs.desired import Desired, announce, matches
from mirrord.scheduling.workers import work_through
from mirrord.settings import Settings
from mirrord.sources.file import FileSource
from mirrord.sources.pool import FilePools
from mirrord.transfer.bandwidth import Bandwidth
from mirrord.transfer.budget import Budget
from mirrord.transfer.retry import PART_RETRY
from mirrord.transfer.verify import (
    Comparison,
    ContentChecksums,
    checksum_kinds,
    compare_content,
    compare_head,
    object_checksums,
    read_checksums,
)

MOST_CHECKS = 3
"""Most comparisons of an object while its record changes."""


@frozen
class Finding:
    """One object, and the result of its comparison."""

    at: Destination
    message: str


@dataclass(slots=True)
class Verified:
    """Filled while `verify` runs, each list sorted at its end. `problems` are those of manifests that were left out."""

    problems: tuple[Problem, ...] = ()
    equal: int = 0
    bytes: int = 0
    """Read from stores."""
    differing: list[Finding] = field(default_factory=list)
    failed: list[Finding] = field(default_factory=list)
    """Objects that could not be compared, each with the reason."""
    unproven: list[Finding] = field(default_factory=list)
    """Equal objects of which only size and ETag could be compared."""
    duration: float = 0.0

    @property
    def seen(self) -> int:
        """Number of objects of the run."""
        return self.equal + len(self.differing) + len(self.failed)

    @property
    def sound(self) -> bool:
        return not (self.differing or self.failed)


@frozen
class _Object:
    """An object to verify: its address, and its record at the time of the listing."""

    at: Destination
    item_id: str
    record: Record | None
    path: str | None = None
    root: str | None = None


async def verify(
    desired: Desired, settings: Settings, observer: Observer, only: Sequence[str] = (), *, shallow: bool = False
) -> Verified:
    """Compare every object that `only` selects; `shallow`: by HEAD only. Raises JournalError and its children only."""
    announce(desired, observer)
    clock, found = SystemClock(), Verified(problems=desired.problems)
    began = clock.monotonic()
    async with AsyncExitStack() as life:
        journal = await life.enter_async_context(read_journal(settings))
        stores = await life.enter_async_context(Stores(desired.loaded.stores, settings.directory, read_only=True))
        program = _Verifying(
            found, journal, stores, None if shallow else Budget(settings.memory_limit, Bandwidth(settings.bandwidth))
        )
        await work_through(_objects(desired, journal, only), program.handle, settings.transfers)
    for findings in (found.differing, found.failed, found.unproven):
        findings.sort(key=lambda one: (one.at.store, one.at.bucket, one.at.key))
    found.duration = clock.monotonic() - began
    return found


async def _objects(desired: Desired, journal: JournalQueries, only: Sequence[str]) -> AsyncIterator[_Object]:
    """The objects of mirrors, recorded or not, then the recorded objects of folders and lists."""
    mirrors = {item.id: item for item in desired.expansion.items}
    for item in mirrors.values():
        if matches(item.entry, item.destination.key, only):
            path = item.origin.path if isinstance(item.origin, File) else None
            yield _Object(item.destination, item.id, await journal.record(item.id), path)
    places: dict[str, tuple[str, str | None]]
    places = {folder.entry: (folder.target.store, folder.path) for folder in desired.expansion.folders}
    places |= {spec.entry: (spec.store, None) for spec in desired.expansion.lists}
    async for record in journal.records():
        if record.entry not in places or record.item_id in mirrors or record.removed is not None:
            continue
        if record.revision is not None and matches(record.entry, record.destination.key, only):
            store, root = places[record.entry]
            at = replace(record.destination, store=store)
            yield _Object(at, record.item_id, record, file_path(record.source), root)


class _Verifying:
    """One run. Without a budget it compares heads only."""

    def __init__(self, found: Verified, journal: JournalQueries, stores: Stores, budget: Budget | None) -> None:
        self._found = found
        self._pools = FilePools()
        self._journal = journal
        self._stores = stores
        self._budget = budget
        self._down: set[str] = set()
        """Stores that failed through all retries: other objects there are tried once, until one call succeeds."""

    async def handle(self, one: _Object) -> None:
        try:
            verdict = await self._with_retries(one)
        except JournalError:
            raise
        except MirrordError as error:
            self._found.failed.append(Finding(one.at, str(error)))
            return
        self._found.bytes += verdict.read
        if verdict.differs:
            self._found.differing.append(Finding(one.at, verdict.differs))
            return
        self._found.equal += 1
        if not verdict.proven and self._budget is not None:
            self._found.unproven.append(
                Finding(one.at, "size and ETag are equal, but the journal has no checksum of it")
            )

    async def _with_retries(self, one: _Object) -> Comparison:
        """Retries transient errors (a 5xx, a lost connection, a truncated body), as `sync` does."""
        store = one.at.store
        try:
            verdict = await PART_RETRY.run(
                lambda: self._stable_verdict(one),
                lambda error: error.recovery is Recovery.RETRY and store not in self._down,
            )
        except MirrordError as error:
            if error.recovery is Recovery.RETRY:
                self._down.add(store)
            raise
        self._down.discard(store)
        return verdict

    async def _stable_verdict(self, one: _Object) -> Comparison:
        record, verdict = one.record, Comparison()
        for _ in range(MOST_CHECKS):
            verdict = await self._check(one, record)
            if not verdict.differs:
                break
            again = await self._journal.record(one.item_id)
            if again == record:
                break
            record = again
        return verdict

    async def _check(self, one: _Object, record: Record | None) -> Comparison:
        if record is None or record.revision is None:
            return Comparison("not mirrored yet: the journal has no object of it")
        store = await self._stores.named(one.at.store)
        at = one.at.keyed(record.object_at.customer_key)
        verdict = compare_head(record, await store.head_object(at))
        if verdict.differs or self._budget is None:
            return verdict
        kinds = checksum_kinds(record)
        found = await object_checksums(store, at, kinds, self._budget)
        file, changed = await self._file_digests(one, record.revision, kinds)
        return Comparison(changed, read=found.size) if changed else compare_content(record, found, file)

    async def _file_digests(
        self, one: _Object, revision: Revision, kinds: Sequence[ChecksumKind]
    ) -> tuple[ContentChecksums | None, str]:
        """The digests of the file, None if it does not exist; or a text if it changed since it was mirrored."""
        if one.path is None or self._budget is None or revision.restored is not None:
            return None, ""
        pool = self._pools.of_file(one.path) if one.root is None else self._pools.of_root(one.root)
        async with FileSource(one.path, one.root, pool=pool) as source:
            try:
                observed = await source.probe()
            except SourceMissing:
                return None, ""
            assert observed is not None  # None would mean unchanged, which needs a known revision
            if _was_modified(observed.revision.file, revision.file):
                return None, "the file changed since it was mirrored"
            async with source.open(observed) as stream:
                return await read_checksums(stream, kinds, self._budget), ""


def _was_modified(now: FileIdentity | None, then: FileIdentity | None) -> bool:
    """Size or time changed. Device, inode and ctime change when a tree is moved, and the bytes are compared anyway."""
    return then is not None and now is not None and (now.size, now.mtime_ns) != (then.size, then.mtime_ns)
