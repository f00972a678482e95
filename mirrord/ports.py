"""Every seam of mirrord on one page: what the core asks of the world. Adapters implement, `daemon` wires.

Owns the shapes of Source, Listing, ObjectStore, Journal, Queue, Observer and Clock. All bytes cross these seams in the
caller's own buffers (`readinto`, `memoryview`), so that whoever bounds the memory owns it. Errors are those of
`errors`, already translated; nothing here wraps a cancellation.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from mirrord.errors import LeftOut
from mirrord.events import Event
from mirrord.model import (
    Checksum,
    ChecksumKind,
    Copied,
    Destination,
    FileIdentity,
    ObjectOptions,
    Observed,
    Part,
    Record,
    Revision,
    State,
    StoredObject,
    Transfer,
    Upload,
)
from mirrord.providers import Provider
from mirrord.status import FileStatus, ItemPage, ItemStatus, Status


class ByteStream(Protocol):
    """Bytes of one revision, in order."""

    async def readinto(self, view: memoryview) -> int:
        """Read at least one byte into the start of `view` and return the count; 0 means the end.

        The end is proven: a body cut short raises SourceUnavailable, a source that changed SourceChanged. A read
        may return fewer bytes than `view` holds."""


class Source(AbstractAsyncContextManager["Source"], Protocol):
    """One source during one look at it. Leaving the context closes its connections or file."""

    async def probe(self, known: Revision | None = None) -> Observed | None:
        """The source as it is now, or None if it still is `known` (asked conditionally where the source can).

        A `known` of another address is ignored. An adapter may keep the answer open for the `open` that follows,
        so that look and copy cost one request. Raises SourceMissing, SourceDenied, SourceUnavailable, SourceRefused."""

    def open(
        self, observed: Observed, start: int = 0, end: int | None = None
    ) -> AbstractAsyncContextManager[ByteStream]:
        """A stream of bytes [start, end) pinned to the revision; `end=None` is to the end.

        Anything but the whole needs `observed.ranges`. Raises SourceChanged if another revision answers."""

    def let_go(self) -> None:
        """Give back a connection that `probe` keeps for `open`, which will not come soon. May be called at any time."""

    async def confirm(self, observed: Observed) -> None:
        """After the last byte and before the object becomes visible: still the same revision, else SourceChanged."""


class Found(Protocol):
    """One name that a listing found."""

    @property
    def name(self) -> str:
        """Relative to the listing's root, `/` between segments, valid Unicode."""

    @property
    def revision(self) -> Revision: ...


class Listing(Protocol):
    """Many sources at one place: a folder, a list of URLs, a prefix of a store."""

    def enumerate(self) -> AsyncIterator[Found]:
        """Every name once, streamed, in no promised order."""

    @property
    def complete(self) -> bool:
        """After `enumerate` ended: nothing was unreadable or missing. An incomplete listing deletes nothing."""


class Trouble(Protocol):
    """Something that a listing could not list."""

    @property
    def path(self) -> str:
        """Printable."""

    @property
    def message(self) -> str: ...


class FolderListing(Listing, Protocol):
    """A folder on this machine: listed whole, or looked at in places. Each `Found` has a `revision.file`."""

    def enumerate(self) -> AsyncGenerator[Found]:
        """As `Listing`; to be closed by whoever leaves it early."""

    def look(self, names: Iterable[str]) -> AsyncGenerator[Found]:
        """What stands at these names now; of a directory, all below it. What is gone or left out yields nothing.

        A name below another one's directory is found twice. Changes neither `complete` nor `problems`."""

    async def standing(self, names: Collection[str]) -> frozenset[str]:
        """Those of `names` at which a regular file stands now, whether it counts or not: for ready markers."""

    async def gone(self, files: Mapping[str, int | None]) -> frozenset[str]:
        """Those of `files` (name -> the device that it was on, if known) at which no regular file stands now.

        Not where the directory that is left of the name is on another device: something is not mounted. Not where a
        link or a special file stands instead. Not what cannot be asked about, nor anything while the root is missing.
        """

    @property
    def problems(self) -> Sequence[Trouble]:
        """What the last `enumerate` could not list."""

    @property
    def left_out(self) -> Sequence[LeftOut]:
        """What the last `enumerate` came across and left, by kind: links, special files, names that are no text."""


class Hints(Protocol):
    """Word that something may have changed below a directory. Hints get lost: they say when to look, never what is."""

    async def changed(self) -> frozenset[str]:
        """Wait for the next paths, at least one; the directory itself stands for anything in it.

        Raises OSError when no more will come."""

    @property
    def watching(self) -> str:
        """`events`, or `poll` while none are to be had."""

    @property
    def problem(self) -> str:
        """Why none are to be had; empty if they are."""


class ObjectStore(Protocol):
    """One store's objects. Every call has a deadline scaled to its size and is tried once: retry is policy.

    All calls raise StoreDenied, BucketMissing, StoreUnavailable, StoreRefused or a child; the writes also raise
    OutcomeUnknown (sent, no answer), ChecksumMismatch (the store refused the bytes) and PreconditionFailed."""

    @property
    def provider(self) -> Provider:
        """Limits, key rules and checksum kinds of this store."""

    async def put_object(
        self,
        at: Destination,
        body: memoryview,
        options: ObjectOptions,
        checksum: Checksum | None = None,
        *,
        if_none_match: bool = False,
    ) -> StoredObject:
        """PutObject. The store verifies `checksum` before the object becomes visible, where it can."""

    async def copy_object(
        self,
        source: Destination,
        at: Destination,
        options: ObjectOptions,
        checksum: ChecksumKind = ChecksumKind.NONE,
        *,
        if_match: str,
        size: int,
    ) -> StoredObject:
        """CopyObject: `at` gets the bytes of `source` (at this store, `size` of them, at most `provider.max_put`) with
        these options in place of its own. PreconditionFailed if its ETag is not `if_match`, at stores that look, which
        not all do; StoreRefused if it is gone. The answer need not tell the checksum: HEAD does."""

    async def create_upload(
        self, at: Destination, options: ObjectOptions, checksum: ChecksumKind = ChecksumKind.NONE
    ) -> str:
        """CreateMultipartUpload with a full-object checksum of that kind; returns the upload id."""

    async def upload_part(
        self, at: Destination, upload_id: str, number: int, body: memoryview, checksum: Checksum | None = None
    ) -> Part:
        """UploadPart; `number` from 1. Raises NoSuchUpload too."""

    async def complete_upload(
        self,
        at: Destination,
        upload_id: str,
        parts: Sequence[Part],
        checksum: Checksum | None = None,
        *,
        if_none_match: bool = False,
    ) -> StoredObject:
        """CompleteMultipartUpload, parts ascending, with the full-object checksum.

        Raises EntityTooSmall, InvalidPart, InvalidPartOrder, NoSuchUpload too."""

    async def abort_upload(self, at: Destination, upload_id: str) -> None:
        """AbortMultipartUpload; an upload that is already gone is no error."""

    async def head_object(self, at: Destination) -> StoredObject | None:
        """The object as it stands, with its full-object checksum where the store tells it; None if there is none."""

    def get_object(
        self, at: Destination, start: int = 0, end: int | None = None
    ) -> AbstractAsyncContextManager[ByteStream]:
        """The object's bytes [start, end)."""

    async def delete_object(self, at: Destination) -> None:
        """DeleteObject; no error if there is none."""

    def list_parts(self, at: Destination, upload_id: str) -> AsyncIterator[Part]:
        """What the store holds of an open upload, ascending, without checksums. Raises NoSuchUpload too.

        It confirms our own list and cannot replace it: stores may show a part that was sent twice as two."""

    def list_uploads(self, bucket: str, prefix: str) -> AsyncIterator[Upload]:
        """Every open multipart upload whose key starts with `prefix`."""

    async def has_bucket(self, bucket: str) -> bool:
        """HeadBucket. StoreDenied: its existence is not ours to know."""

    async def ensure_bucket(self, bucket: str, *, region: str | None = None, versioning: bool = False) -> bool:
        """Create the bucket if it does not exist; True if this call created it."""


class Journal(AbstractAsyncContextManager["Journal"], Protocol):
    """The durable record. Each method has committed when it returns. Raises JournalError and its children."""

    async def record(self, item_id: str) -> Record | None:
        """What is known of the item."""

    async def recorded(self, item_ids: Collection[str]) -> Mapping[str, Record]:
        """What is known of many items, by item id: at the price of one question. Some hundreds at a time."""

    async def dates(self, sources: Collection[str]) -> Mapping[str, float]:
        """`Record.dated` by source, of items in force and of those that left their objects behind; the earliest.

        At the price of one question. Some hundreds at a time."""

    async def save(self, record: Record) -> None:
        """Write the item's record, whole."""

    async def save_all(self, records: Sequence[Record]) -> None:
        """Write many records, each whole, in one commit."""

    async def retire(self, item_ids: Sequence[str], when: float) -> None:
        """These items left the manifests: one commit. Saving an item's record again brings it back.

        An id that is not recorded, or left before, is no error and keeps its time."""

    def records(self) -> AsyncIterator[Record]:
        """Every recorded item, streamed, by item id; those that left the manifests too (`removed` is set)."""

    def others(self, entries: Collection[str]) -> AsyncIterator[str]:
        """The ids of all items in force that are of none of these entries, streamed, in no order."""

    async def page(
        self, *, state: State | None = None, entry: str = "", text: str = "", after: str = "", limit: int = 100
    ) -> Sequence[Record]:
        """Up to `limit` items in force with ids after `after`, by item id: of that state, of the entry of that name,
        and with `text` in key, source or entry in upper or lower case. Fewer than `limit`: there are no more."""

    async def count(self, entry: str) -> int:
        """How many items of the entry of that name are in force."""

    async def totals(self) -> Mapping[State, int]:
        """How many items in force are in each state; a state without items is left out."""

    async def last_written(self) -> float | None:
        """When the journal was last written to, by whomever; None if it never was."""

    async def made_from(self, file: FileIdentity, endpoint: str) -> Sequence[Record]:
        """A few records of objects at that endpoint that were made from a file with this inode, size and mtime: it most
        likely was this file, under another name or the same. Its device may be another: numbers of devices change."""

    async def begin(self, transfer: Transfer) -> None:
        """The intent: from here on the store may hold something of this transfer. One of the same id is replaced."""

    async def opened(self, transfer_id: str, upload_id: str) -> None:
        """The multipart upload stands at the store. For a settled transfer this and the next two do nothing."""

    async def part_done(self, transfer_id: str, part: Part) -> None:
        """The store confirmed this part; one of the same number is replaced."""

    async def completing(self, transfer_id: str, whole: Checksum | None) -> None:
        """Every part is recorded and the store is about to make the object visible, under this checksum."""

    async def finish(self, transfer_id: str, copied: Copied, record: Record) -> None:
        """The transfer is done and the item's record says so: one commit."""

    async def abandon(self, transfer_id: str) -> None:
        """The transfer came to nothing and left nothing behind."""

    async def give_up(self, transfer_id: str, when: float) -> None:
        """The transfer will not go on and is no longer unfinished; the store may hold something of it.

        It is kept, as settled at `when`, until it is abandoned; given up before, it keeps its time."""

    def given_up(self) -> AsyncIterator[Transfer]:
        """Transfers that were given up and not yet abandoned: what a sweep of the stores must look for."""

    def unfinished(self) -> AsyncIterator[Transfer]:
        """Transfers begun and neither finished, given up nor abandoned: those that run, and what a crash or an
        interruption left."""

    async def unfinished_of(self, item_id: str) -> Sequence[Transfer]:
        """Those of one item, the oldest first."""

    async def parts(self, transfer_id: str) -> Sequence[Part]:
        """The parts done of an unfinished transfer, ascending, with the checksums that they were sent with."""


Work = Callable[[str], Coroutine[Any, Any, None]]
"""One look at the item of this id, from its beginning to its end."""


class Queue(Protocol):
    """Which items to look at, and when. Delivery is at least once; one item never overlaps itself."""

    async def enqueue(self, item_id: str, delay: float = 0.0) -> None:
        """Wish for a look in `delay` seconds; of two wishes for an item the sooner wins.

        A wish made while the item is looked at is honoured afterwards. A negative delay goes before what is due."""

    async def cancel(self, item_id: str) -> None:
        """Drop the item's wish, cancel its look if one runs, and return when that has ended (not from within it).

        A wish made meanwhile stands."""

    async def run(self, work: Work, concurrency: int) -> None:
        """Call `work` for each item whose time comes, `concurrency` at a time, until stopped or cancelled.

        Cancelled, it cancels what runs, waits until that ended, and keeps those items for the next run. What `work`
        raises is logged, and the item comes again later."""

    async def stop(self, grace: float) -> None:
        """Start nothing more; what runs has `grace` seconds to end, is then cancelled and awaited. `run` returns."""

    def __len__(self) -> int:
        """Items that wait, due or not; not those that run."""

    @property
    def running(self) -> Collection[str]:
        """The items that are looked at now."""

    @property
    def due(self) -> int:
        """How many wait although their time has come: what a larger bound would start at once."""


class Observer(Protocol):
    """Receives every event, in order, on the event loop; must not block and must not raise."""

    def __call__(self, event: Event) -> None: ...


class Clock(Protocol):
    """Time for the core, so that tests own it."""

    def now(self) -> float:
        """Seconds since the epoch, UTC."""

    def monotonic(self) -> float:
        """Seconds that never go back, for durations."""

    async def sleep(self, seconds: float) -> None: ...


class Control(Protocol):
    """A running daemon, as its web page, API and signals see it. Implemented by `daemon`."""

    def not_ready(self) -> str:
        """Empty when ready: a valid manifest is in force, the journal writable, not stopping. Else why not."""

    async def status(self) -> Status: ...

    async def items(
        self, *, state: State | None = None, entry: str = "", text: str = "", cursor: str = "", limit: int = 100
    ) -> ItemPage:
        """Items by id after `cursor`; `text` is looked for in key, source and entry. `limit` from 1 to 1000."""

    async def item(self, item_id: str) -> ItemStatus | None: ...

    def subscribe(self) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """Events from now on; a slow subscriber loses the oldest, never holds up the core."""

    async def trigger(self, item_id: str) -> bool:
        """Look at the item now; False if there is no such item."""

    async def reload(self) -> Sequence[FileStatus]:
        """Read the manifests again now, and say what each file's state is."""
