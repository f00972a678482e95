"""Passes of `mirrord sync` in this process, with the real journal, manifests and folders, over stores and origins in
memory that fail, lose answers, and "kill" the process.

A kill keeps the state directory as it was at that moment: the next pass continues with that copy, whatever the killed
pass wrote afterwards. Each write and each deletion is checked when it reaches the store: see `Rules`.
"""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, Self
from unittest.mock import patch

from mirrord.errors import MirrordError, OutcomeUnknown, SourceUnavailable, StoreDenied, StoreUnavailable
from mirrord.model import META_TRANSFER, Destination, Item, ObjectOptions, fingerprint
from mirrord.planning.timing.backoff import pause
from mirrord.programs.api import sync
from mirrord.programs.report import Report
from mirrord.proxies import UsedProxies
from mirrord.testing import MemorySource, MemoryStore
from mirrord.testing.stream import etag_of

BUCKET = "bucket"
SOURCES = "sources"
"""The bucket of objects that are sources."""
SPEED = 500.0
"""Seconds of the passes' clock in one real second: pauses and retries take little."""
DEADLINE = 30.0
"""Real seconds of one pass."""
_WRITES = frozenset({"put_object", "copy_object", "complete_upload"})
_CHANGES = _WRITES | {"delete_object", "create_upload", "upload_part", "copy_part", "abort_upload"}
_CALLS = _CHANGES | {"head_object", "list_parts", "inspect_object", "get_tags", "ensure_bucket"}


class FastClock:
    """`ports.Clock` that runs SPEED times faster, and further ahead after `skip`."""

    ahead = 0.0

    def now(self) -> float:
        return self._began + (time.monotonic() - self._at) * SPEED + FastClock.ahead

    def monotonic(self) -> float:
        return self.now()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds) / SPEED)

    _began, _at = time.time(), time.monotonic()


class Rules(Protocol):
    """What no pass may do. Each raises AssertionError."""

    def may_write(self, key: str, *, foreign: bool, same: bool) -> None:
        """Before an object with this key is replaced; `foreign`: mirrord did not write it; `same`: it did, and the
        object is of the same revision and has the same options."""

    def has_begun(self, transfer_id: str) -> None:
        """Before the store gets anything of this transfer."""

    def may_delete(self, key: str, *, ours: bool) -> None: ...

    def written_by_another(self, key: str) -> None:
        """Another program wrote this object between a check and its write."""

    def file_is_edited(self) -> None:
        """Edits a file of the folder now."""


@dataclass
class Fault:
    """One fault of the store, in the `at`-th call from now that changes something or asks for an object."""

    kind: str
    at: int


class FaultyStore(MemoryStore):
    """A store in memory that checks each call by the rules, and fails on demand."""

    def __init__(self, rules: Rules, killed: Callable[[], None]) -> None:
        super().__init__(clock=FastClock().now)
        self.buckets |= {BUCKET: {}, SOURCES: {}}
        self.surprises = 0
        """Writes to free keys before which another program still writes there."""
        self.rules, self.killed = rules, killed
        self.faults: list[Fault] = []
        self.dead = False
        self.changes = 0
        self.ours: set[str] = set()
        self.broken: list[AssertionError] = []

    def __getattribute__(self, name: str) -> Any:
        real = super().__getattribute__(name)
        if name not in _CALLS:
            return real
        if name == "list_parts":
            return real

        async def call(*given: Any, **named: Any) -> Any:
            return await self._called(name, real, given, named)

        return call

    async def _called(self, name: str, real: Any, given: Sequence[Any], named: dict[str, Any]) -> Any:
        fault = self._due()
        if fault in ("503", "dead"):
            raise StoreUnavailable(f"{name}: {fault}")
        if fault == "403":
            raise StoreDenied(f"{name}: 403")
        if fault == "kill before":
            self.dead = True
            self.killed()
            raise StoreUnavailable(f"{name}: killed")
        if name in _WRITES and self.surprises:
            self._surprise(given[1] if name == "copy_object" else given[0])
        self._check(name, given, named)
        self.changes += name in _CHANGES
        found = await real(*given, **named)
        if fault == "lost":
            raise OutcomeUnknown(f"{name}: no answer")
        if fault == "kill after":
            self.dead = True
            self.killed()
            raise StoreUnavailable(f"{name}: killed")
        return found

    def _due(self) -> str:
        if self.dead:
            return "dead"
        for fault in self.faults:
            fault.at -= 1
        due = [fault for fault in self.faults if fault.at < 0]
        self.faults = [fault for fault in self.faults if fault.at >= 0]
        self.surprises += sum(fault.kind == "theirs" for fault in due)
        if any(fault.kind == "edit" for fault in due):
            self.rules.file_is_edited()
        return next((fault.kind for fault in due if fault.kind not in ("theirs", "edit")), "")

    def _surprise(self, at: Destination) -> None:
        if at.key not in self.buckets[at.bucket]:
            self.surprises -= 1
            self.put_theirs(at.key, b"two")
            self.rules.written_by_another(at.key)

    def _check(self, name: str, given: Sequence[Any], named: dict[str, Any]) -> None:
        try:
            if name in _WRITES:
                self._check_write(name, given, named)
            elif name == "delete_object":
                at: Destination = given[0]
                kept = self.buckets[at.bucket].get(at.key)
                if kept is not None:
                    self.rules.may_delete(at.key, ours=kept.stored.metadata.get(META_TRANSFER) in self.ours)
        except AssertionError as error:
            self.broken.append(error)
            raise

    def _check_write(self, name: str, given: Sequence[Any], named: dict[str, Any]) -> None:
        at: Destination = given[1] if name == "copy_object" else given[0]
        options = self.uploads[given[1]].options if name == "complete_upload" and given[1] in self.uploads else given[2]
        kept = self.buckets[at.bucket].get(at.key)
        if kept is not None and not named.get("if_none_match"):
            foreign = META_TRANSFER not in kept.stored.metadata
            self.rules.may_write(
                at.key, foreign=foreign, same=not foreign and _comparable(kept.options) == _comparable(options)
            )
        metadata = getattr(options, "metadata", {})
        if metadata.get(META_TRANSFER):
            self.rules.has_begun(metadata[META_TRANSFER])
            self.ours.add(metadata[META_TRANSFER])

    def put_theirs(self, key: str, content: bytes, stranger: str | None = None, *, bucket: str = BUCKET) -> None:
        """Another program writes an object; `stranger`: with the transfer id of another mirrord."""
        at = Destination("default", "http://store", bucket, key)
        metadata = {META_TRANSFER: stranger} if stranger else {}
        self._keep(at, content, etag_of(content), None, ObjectOptions(metadata=metadata))


def _comparable(options: ObjectOptions) -> ObjectOptions:
    """Without the transfer's id."""
    return replace(options, metadata={**options.metadata, META_TRANSFER: ""})


class Origins:
    """Stands for `HttpSources`: one source in memory for each URL."""

    def __init__(self) -> None:
        self.used_proxies = UsedProxies()
        self.sources: dict[str, MemorySource] = {}
        self.versions = 0

    def __call__(self, **_: object) -> Self:
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    def publish(self, url: str, content: bytes | None) -> None:
        self.versions += 1
        source = self._of(url)
        source.content, source.etag = content, f'"{self.versions}"'

    def _of(self, url: str) -> MemorySource:
        if url not in self.sources:
            self.sources[url] = MemorySource(content=None, address=fingerprint(url))
        return self.sources[url]

    def fail(self, url: str, error: Exception | None) -> None:
        self._of(url).fails = error

    def cut(self, url: str, *, short: bool) -> None:
        """Whether bodies of this URL end too early."""

        async def on_read(at: int) -> None:
            if at > 0:
                raise SourceUnavailable("the body is cut short")

        source = self._of(url)
        source.step = 16 if short else 1 << 20
        source.hooks.on_read = on_read if short else _pass

    def source(self, item: Item) -> MemorySource:
        return self._of(item.origin.address)

    def list_source(self, url: str, _: object) -> MemorySource:
        return self._of(url)

    async def declared(self, item: Item) -> str | None:
        return item.declared_sha256


async def _pass(*_: int) -> None: ...


@dataclass
class Passes:
    """Passes over the manifests in `home`/manifests."""

    home: Path
    rules: Rules
    origins: Origins = field(default_factory=Origins)
    states: int = 0

    def __post_init__(self) -> None:
        self.store = FaultyStore(self.rules, self._killed)
        self.manifests = self.home / "manifests"
        self.manifests.mkdir(parents=True)
        self.state.mkdir(mode=0o700)
        self._kill = asyncio.Event()

    @property
    def state(self) -> Path:
        return self.home / f"state{self.states}"

    def _killed(self) -> None:
        shutil.copytree(self.state, self.home / f"state{self.states + 1}", ignore=shutil.ignore_patterns("lock"))
        self._kill.set()

    def run(self, prune_max: float | None = None) -> Report | None:
        """One pass; None if it was killed."""
        return asyncio.run(self._watched(prune_max))

    async def _watched(self, prune_max: float | None) -> Report | None:
        """Raises TimeoutError, after it printed what each task waits for, if the pass does not end."""
        try:
            async with asyncio.timeout(DEADLINE):
                return await asyncio.shield(asyncio.ensure_future(self._run(prune_max)))
        except TimeoutError:
            for task in asyncio.all_tasks():
                _print_waits(task)
            raise

    async def _run(self, prune_max: float | None) -> Report | None:
        self._kill = asyncio.Event()
        with (
            patch("mirrord.engine.wiring.SystemClock", FastClock),
            patch("mirrord.transfer.retry.pause", lambda *given: pause(*given) / SPEED),  # these are in real time
            patch("mirrord.engine.wiring.HttpSources", self.origins),
            patch("mirrord.engine.s3_stores.connected", self._connected),
        ):
            state = f"sqlite:///{self.state}/state.db"
            task = asyncio.create_task(sync([str(self.manifests)], state=state, environ={}, prune_max=prune_max))
            killed = asyncio.create_task(self._kill.wait())
            done, _ = await asyncio.wait({task, killed}, return_when=asyncio.FIRST_COMPLETED)
            if killed in done:
                task.cancel()
                with suppress(asyncio.CancelledError, MirrordError):
                    await task
                report = None
            else:
                killed.cancel()
                report = task.result()
        if self.store.dead:
            self.store.dead = False
            self.states += 1
        if self.store.broken:
            raise self.store.broken[0]
        return report

    @asynccontextmanager
    async def _connected(self, *_: object, **__: object) -> AsyncIterator[FaultyStore]:
        yield self.store


def _print_waits(task: "asyncio.Task[Any]") -> None:
    """What the task waits for, coroutine by coroutine."""
    waits: Any = task.get_coro()
    while waits is not None:
        frame = getattr(waits, "cr_frame", None) or getattr(waits, "ag_frame", None)
        print(f"{task.get_name()}: {waits} line {frame.f_lineno if frame else '?'}")
        waits = getattr(waits, "cr_await", None) or getattr(waits, "ag_await", None)
