"""Each transfer that is started ends once, whatever is raised, wherever; and nothing ends that was not started."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrord.daemon.board import Board
from mirrord.errors import (
    ChecksumMismatch,
    JournalUnavailable,
    OutcomeUnknown,
    SourceChanged,
    SourceDenied,
    SourceMissing,
    SourceUnavailable,
    StoreDenied,
    StoreUnavailable,
)
from mirrord.events import (
    Event,
    ItemBlocked,
    ItemRetrying,
    TransferCompleted,
    TransferEvent,
    TransferFailed,
    TransferInterrupted,
    TransferStarted,
)
from mirrord.model import File, Outcome, State, UploadOptions
from mirrord.telemetry.metrics import Metrics, Readings
from mirrord.testing import ManualClock, MemorySource
from mirrord.units import MiB
from tests.support.item_world import AT, World

ENDS = (TransferCompleted, TransferFailed, TransferInterrupted)
SMALL, LARGE = b"small", bytes(6 * MiB)


class Abrupt(BaseException):
    """As KeyboardInterrupt and SystemExit, which would end the test too."""


ERRORS: tuple[Callable[[], BaseException], ...] = (
    lambda: JournalUnavailable("the disk is full"),
    lambda: SourceMissing("gone"),
    lambda: SourceDenied("no"),
    lambda: SourceChanged("another one"),
    lambda: SourceUnavailable("cut short"),
    lambda: SourceUnavailable("503", retry_after=5.0, answered=True),
    lambda: StoreUnavailable("refused"),
    lambda: StoreDenied("no"),
    lambda: OutcomeUnknown("no answer"),
    lambda: ChecksumMismatch("BadDigest"),
    lambda: OSError(28, "No space left on device"),
    lambda: ZeroDivisionError("a fault of ours"),
    Abrupt,
    asyncio.CancelledError,
)


@dataclass
class Fault:
    """Raised by the call with this number to a port, before or after it was served; `lasting`: by all that follow."""

    error: Callable[[], BaseException] | None  # None: the check is cancelled from outside
    number: int
    lasting: bool
    calls: int = 0
    check: "asyncio.Task[Any] | None" = None

    def call(self) -> None:
        self.calls += 1
        if self.calls == self.number or (self.lasting and self.calls > self.number):
            if self.error is not None:
                raise self.error()
            if self.check is not None:
                self.check.cancel()


class Faulty:
    """A port whose calls, and streams, meet a fault."""

    def __init__(self, port: Any, fault: Fault) -> None:
        self._port = port
        self._fault = fault

    async def __aenter__(self) -> "Faulty":
        self._fault.call()
        await self._port.__aenter__()
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self._port.__aexit__(*raised)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if inspect.iscoroutinefunction(found):
            return self._asked(found)
        if inspect.isasyncgenfunction(getattr(found, "__wrapped__", None)):
            return self._opened(found)
        return self._listed(found) if inspect.isasyncgenfunction(found) else found

    def _asked(self, call: Callable[..., Any]) -> Callable[..., Any]:
        async def asked(*given: Any, **more: Any) -> Any:
            self._fault.call()
            answer = await call(*given, **more)
            self._fault.call()
            return answer

        return asked

    def _opened(self, call: Callable[..., Any]) -> Callable[..., Any]:
        @asynccontextmanager
        async def opened(*given: Any, **more: Any) -> AsyncIterator[Faulty]:
            self._fault.call()
            async with call(*given, **more) as stream:
                yield Faulty(stream, self._fault)

        return opened

    def _listed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        async def listed(*given: Any, **more: Any) -> AsyncIterator[Any]:
            self._fault.call()
            async for one in call(*given, **more):
                yield one

        return listed


async def nothing_due() -> int:
    return 0


@dataclass
class Scene(World):
    """A reconciler all of whose ports can fail, with everything that shows what runs."""

    content: bytes = SMALL
    folder: bool = False
    board: Board = field(init=False)

    def __post_init__(self) -> None:
        self.origin = MemorySource(self.content, ranges=False)
        super().__post_init__()
        self.board = Board(ManualClock())
        self.metrics = Metrics(
            Readings(
                items=dict, staleness=dict, stores=dict, folders=dict, buffer_bytes=lambda: 0, queue_items=nothing_due
            )
        )
        upload = UploadOptions(part_size=5 * MiB, multipart_threshold=5 * MiB)
        origin = File("/inbox", "x") if self.folder else self.item.origin
        self.item = replace(self.item, origin=origin, options=replace(self.item.options, upload=upload))

    def meets(self, port: str, fault: Fault) -> None:
        journal = Faulty(self.journal, fault) if port == "journal" else self.journal
        store = Faulty(self.store, fault) if port == "store" else self.store

        async def store_of(_item: object) -> Any:
            return store

        def source_of(_item: object) -> Any:
            return Faulty(self.origin, fault) if port == "source" else self.origin

        transfers = replace(self.reconciler.transfers, journal=journal, observer=self.said_of)
        self.reconciler = replace(
            self.reconciler,
            journal=journal,
            store_of=store_of,
            source_of=source_of,
            transfers=transfers,
            observer=self.said_of,
        )

    def said_of(self, event: Event) -> None:
        self.events.append(event)
        self.board(event)
        self.metrics(event)

    async def check_item(self) -> Outcome:
        return await self.reconciler.reconcile(self.item)

    async def check_with(self, fault: Fault, failures: int) -> None:
        fault.check = asyncio.create_task(self.reconciler.reconcile(self.item, failures))
        with suppress(Exception, asyncio.CancelledError, Abrupt):
            await fault.check

    def assert_one_end_each(self) -> None:
        running: set[str] = set()
        for event in self.events:
            if isinstance(event, TransferStarted):
                assert event.transfer_id not in running, "started twice"
                running.add(event.transfer_id)
            elif isinstance(event, TransferEvent):
                assert event.transfer_id in running, f"{event.name} of a transfer that does not run"
                if isinstance(event, ENDS):
                    running.remove(event.transfer_id)
        assert not running, f"never ended: {self.events}"
        assert self.board.running() == ()
        assert self.metrics.registry.get_sample_value("mirrord_transfers_in_flight") == 0


@pytest.fixture(scope="module", autouse=True)
def _at_once() -> Iterator[None]:
    """No pauses between repeats within an attempt."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mirrord.transfer.retry.pause", lambda rule, failures, chance, retry_after=None: 0.0)
        yield


@settings(max_examples=150, deadline=None)
@given(
    content=st.sampled_from([SMALL, LARGE]),
    folder=st.booleans(),
    known=st.booleans(),
    port=st.sampled_from(["journal", "store", "source"]),
    error=st.sampled_from([*ERRORS, None]),
    number=st.integers(1, 24),
    lasting=st.booleans(),
)
def test_each_start_has_one_end(
    content: bytes,
    folder: bool,
    known: bool,
    port: str,
    error: Callable[[], BaseException] | None,
    number: int,
    lasting: bool,
) -> None:
    async def lived() -> None:
        scene = Scene(content=content, folder=folder)
        if known:
            await scene.reconciler.reconcile(scene.item)
            scene.events.clear()
            scene.origin.etag = '"2"'
        fault = Fault(error, number, lasting)
        scene.meets(port, fault)
        for failures in range(2):
            await scene.check_with(fault, failures)
            scene.assert_one_end_each()
        scene.meets("none", fault)
        scene.reconciler = replace(scene.reconciler, breakers=type(scene.reconciler.breakers)())
        await scene.check_with(fault, 0)
        scene.assert_one_end_each()
        if not folder or error is not ERRORS[1]:
            assert scene.store.buckets["bucket"][AT.key].content == content, "all is well in the end"

    asyncio.run(lived())


# ── the examples of the kinds ─────────────────────────────────────────────────────────────────────
async def test_a_folders_file_that_goes_between_start_and_open_is_interrupted() -> None:
    scene = Scene(folder=True)

    @asynccontextmanager
    async def gone(*_given: object) -> AsyncIterator[Any]:
        raise SourceMissing("no such file")
        yield

    scene.origin.open = gone  # type: ignore[assignment, method-assign]
    outcome = await scene.check_item()
    assert outcome.state is State.SYNCED
    assert scene.event_types() == [TransferStarted, TransferInterrupted]


async def test_a_journal_that_fails_in_mid_transfer_ends_it_as_failed() -> None:
    scene = Scene(content=LARGE)
    scene.meets("journal", Fault(lambda: JournalUnavailable("No space left on device"), 12, lasting=True))
    with pytest.raises(JournalUnavailable):
        await scene.check_item()
    kinds = [kind for kind in scene.event_types() if kind is TransferStarted or kind in ENDS]
    assert kinds == [TransferStarted, TransferFailed]
    (failed,) = [event for event in scene.events if isinstance(event, TransferFailed)]
    assert (failed.reason, failed.kind) == ("JournalUnavailable", "multipart")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (SourceUnavailable("503"), [ItemRetrying]),
        (StoreUnavailable("503"), [ItemRetrying]),
        (SourceMissing("404"), [ItemBlocked]),
    ],
)
async def test_a_check_that_fails_starts_and_ends_no_transfer(error: Exception, said: list[type[Event]]) -> None:
    scene = Scene()
    scene.origin.fails = error
    await scene.check_item()
    assert scene.event_types() == said
