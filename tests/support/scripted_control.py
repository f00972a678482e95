"""A daemon under full control of a test: `ports.Control` over a dictionary of items and a real `Board`."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from heapq import nlargest, nsmallest

from mirrord.daemon.board import Board
from mirrord.daemon.sorted_items import matches
from mirrord.engine.clock import SystemClock
from mirrord.errors import Problem, Reason
from mirrord.events import (
    Event,
    ItemChanged,
    ManifestLoaded,
    ManifestRejected,
    TransferCompleted,
    TransferFailed,
    TransferProgress,
    TransferStarted,
)
from mirrord.model import (
    EVERY,
    Copied,
    Destination,
    Integrity,
    Item,
    ItemFilter,
    ItemOrder,
    ItemPlace,
    Revision,
    SortKey,
    State,
    TransferKind,
    origin_at,
)
from mirrord.ports import Clock
from mirrord.status import (
    BreakerStatus,
    EntryPage,
    EntryStatus,
    FileStatus,
    FolderStatus,
    HistoryEntry,
    ItemHistory,
    ItemPage,
    ItemStatus,
    Restored,
    SortedPage,
    Status,
)

ENDPOINT = "http://127.0.0.1:9000"


def item_of(key: str, source: str = "https://example.org/file", entry: str = "") -> Item:
    at = Destination("default", ENDPOINT, "mirror", key)
    return Item(id=at.item_id, entry=entry or key, origin=origin_at(source), destination=at)


def copied(transfer_id: str, size: int, parts: int = 1) -> Copied:
    return Copied(
        transfer_id=transfer_id,
        revision=Revision(address="0" * 16),
        kind=TransferKind.MULTIPART if parts > 1 else TransferKind.PUT,
        size=size,
        parts=parts,
        etag='"e"',
        checksum=None,
        integrity=Integrity.FULL_OBJECT,
    )


async def no_metrics() -> bytes:
    """Metrics for `application`, for tests that do not use them."""
    return b""


async def one_metric() -> bytes:
    """Metrics with one sample that a test can find."""
    return b"mirrord_items 1\n"


class ScriptedControl:
    """Returns the state that the test sets; records its calls in `triggered`, `reloads` and `asked`."""

    def __init__(self, clock: Clock | None = None, entries: Sequence[str] = ()) -> None:
        self.named = entries  # names of lists and folders
        self.clock = clock or SystemClock()
        self.board = Board(self.clock, progress_every=0.1)
        self.things: dict[str, Item] = {}
        self.shown: dict[str, ItemStatus] = {}
        self.histories: dict[str, tuple[HistoryEntry, ...]] = {}
        self.files: dict[str, FileStatus] = {}
        self.folders: tuple[FolderStatus, ...] = ()
        self.stores: dict[str, bool] = {"default": True}
        self.calls_at_once: dict[str, int] = {}
        self.breakers: tuple[BreakerStatus, ...] = ()
        self.not_enforced: tuple[str, ...] = ()
        self.reason_not_ready: str | None = None
        self.failure: Exception | None = None
        self.triggered: list[str] = []
        self.reloads = 0
        self.left = asyncio.Event()  # set when a subscriber has left
        self.asked: list[dict[str, object]] = []
        self.started = time.time()

    # ── for the test ──────────────────────────────────────────────────────────────────────────────
    def put(self, item: Item, state: State = State.SYNCED, **fields: object) -> Item:
        """Add an item in this state, without an event."""
        self.things[item.id] = item
        at = item.destination
        self.shown[item.id] = ItemStatus(
            id=item.id,
            entry=item.entry,
            source=item.shown_source,
            destination=str(at),
            store=at.store,
            state=state,
            since=self.clock.now(),
            **fields,  # type: ignore[arg-type]
        )
        return item

    def change(self, item: Item, state: State, reason: Reason | None = None, message: str = "", **more: object) -> None:
        """Change the item's state, with an event."""
        fields = {"state": state, "reason": reason, "message": message, "since": self.clock.now(), **more}
        self.shown[item.id] = replace(self.shown[item.id], **fields)  # type: ignore[arg-type]
        self.tell(ItemChanged(item=item, state=state, reason=reason, message=message))

    def start(
        self, item: Item, size: int | None, kind: TransferKind = TransferKind.MULTIPART, attempt: int = 1
    ) -> None:
        self.change(item, State.TRANSFERRING)
        self.tell(TransferStarted(item=item, transfer_id=f"t-{item.id}", kind=kind, size=size, attempt=attempt))

    def advance(self, item: Item, read: int, sent: int, size: int | None, attempt: int = 1) -> None:
        self.tell(
            TransferProgress(
                item=item,
                transfer_id=f"t-{item.id}",
                kind=TransferKind.MULTIPART,
                bytes_read=read,
                bytes_sent=sent,
                size=size,
                attempt=attempt,
            )
        )

    def complete(self, item: Item, size: int) -> None:
        done = copied(f"t-{item.id}", size, parts=4)
        self.tell(TransferCompleted(item=item, transfer_id=f"t-{item.id}", kind=done.kind, copied=done, duration=1.5))
        self.change(item, State.SYNCED, size=size, integrity=done.integrity, synced_at=self.clock.now())

    def fail(self, item: Item, reason: Reason, message: str, retry_in: float | None = None) -> None:
        self.tell(
            TransferFailed(
                item=item, transfer_id=f"t-{item.id}", reason=reason, message=message, duration=0.5, retry_in=retry_in
            )
        )
        state = State.BLOCKED if retry_in is None else State.RETRYING
        self.change(item, state, reason, message, next_check=self.clock.now() + (retry_in or 3600))

    def load(self, file: str, items: int) -> None:
        self.files[file] = FileStatus(file=file, valid=True, in_force=True, loaded=self.clock.now(), items=items)
        self.tell(ManifestLoaded(file=file, items=items))

    def reject(self, file: str, *problems: Problem) -> None:
        before = self.files.get(file, FileStatus(file=file, valid=False, in_force=False))
        self.files[file] = replace(before, valid=False, problems=problems)
        self.tell(ManifestRejected(file=file, problems=problems))

    def tell(self, event: Event) -> None:
        self.board(event)

    # ── ports.Control ─────────────────────────────────────────────────────────────────────────────
    def not_ready(self) -> str | None:
        return self.reason_not_ready

    async def status(self) -> Status:
        self._maybe_fail()
        return Status(
            version="0.1.0",
            pid=4711,
            started=self.started,
            not_ready=self.reason_not_ready or "",
            totals=dict(Counter(one.state for one in self.shown.values())),
            running=self.board.running(),
            sent_by_minute=self.board.sent_by_minute(),
            files=tuple(self.files.values()),
            folders=self.folders,
            stores=dict(self.stores),
            calls_at_once=dict(self.calls_at_once),
            breakers=self.breakers,
            not_enforced=self.not_enforced,
        )

    async def items(
        self,
        *,
        state: State | None = None,
        entry: str | None = None,
        text: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> ItemPage:
        self._maybe_fail()
        self.asked.append({"state": state, "entry": entry, "text": text, "cursor": cursor, "limit": limit})
        fit = [
            replace(one, progress=self.board.progress(one.id))
            for one in sorted(self.shown.values(), key=lambda one: one.id)
            if (cursor is None or one.id > cursor)
            and state in (None, one.state)
            and entry in (None, one.entry)
            and any((text or "") in where for where in (one.destination, one.source, one.entry))
        ]
        page = tuple(fit[:limit])
        return ItemPage(items=page, cursor=page[-1].id if len(fit) > limit else None)

    async def sorted_items(
        self, order: ItemOrder, wanted: ItemFilter = EVERY, after: ItemPlace | None = None, limit: int = 100
    ) -> SortedPage:
        self._maybe_fail()
        first, found = nlargest if order.descending else nsmallest, list[ItemStatus]()
        by_state = dict[State | None, list[ItemStatus]]()
        for one in self.shown.values():
            if wanted == EVERY or matches(one, wanted):
                by_state.setdefault(one.state if order.states else None, []).append(one)
        for state in order.states or (None,):
            fit = by_state.get(state, [])
            if after is not None and order.states and order.states.index(state) < order.states.index(after.state):
                continue
            if after is not None and after.state in (None, state):
                fit = [one for one in fit if order.is_after(_place(one, order), after)]
            found += first(limit + 1 - len(found), fit, key=lambda one: _place(one, order)[:2])
        items = tuple(replace(one, progress=self.board.progress(one.id)) for one in found[:limit])
        return SortedPage(items, _place(found[limit - 1], order) if len(found) > limit else None)

    async def entries(self, *, cursor: str | None = None, limit: int = 100) -> EntryPage:
        self._maybe_fail()
        found = dict[str, list[ItemStatus]]()
        for one in self.shown.values():
            found.setdefault(one.entry, []).append(one)
        after = sorted(name for name in found if cursor is None or name > cursor)
        page = tuple(
            EntryStatus(
                name=name,
                kind="mirror",
                items=len(found[name]),
                states=Counter(one.state for one in found[name]),
                size=sum(one.size or 0 for one in found[name]),
            )
            for name in after[:limit]
        )
        return EntryPage(entries=page, cursor=page[-1].name if len(after) > limit else None)

    async def item(self, item_id: str) -> ItemStatus | None:
        self._maybe_fail()
        one = self.shown.get(item_id)
        return replace(one, progress=self.board.progress(item_id)) if one is not None else None

    async def history(self, item_id: str) -> ItemHistory | None:
        self._maybe_fail()
        one = self.shown.get(item_id)
        entries = self.histories.get(item_id, (HistoryEntry(outcome="current", version_id="v1"),))
        return ItemHistory(id=item_id, destination=one.destination, entries=entries) if one is not None else None

    async def restore(self, item_id: str, version_id: str) -> Restored | None:
        self._maybe_fail()
        if (one := self.shown.get(item_id)) is None:
            return None
        return Restored(id=item_id, destination=one.destination, version=version_id, size=one.size)

    @asynccontextmanager
    async def subscribe(self) -> AsyncIterator[AsyncIterator[Event]]:
        async with self.board.subscribe() as events:
            try:
                yield events
            finally:
                self.left.set()

    def trigger_entry(self, entry: str) -> bool:
        self.triggered.append(entry)
        return entry in self.named

    async def trigger(self, item_id: str) -> bool:
        if item_id in self.shown:
            self.triggered.append(item_id)
        return item_id in self.shown

    async def reload(self) -> Sequence[FileStatus]:
        self.reloads += 1
        return tuple(self.files.values())

    def _maybe_fail(self) -> None:
        if self.failure is not None:
            raise self.failure


def _place(one: ItemStatus, order: ItemOrder) -> ItemPlace:
    if order.by is SortKey.SINCE:  # of the page's order: quick also with 100,000 items
        return ItemPlace(one.since, one.id, one.state if order.states else None)
    value = order.value(destination=one.destination, since=one.since, copied=one.synced_at, size=one.size)
    return ItemPlace(value, one.id)
