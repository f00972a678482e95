"""The ports of mirrord, one file each: interfaces between the core and its adapters. `engine` chooses the adapters.

Owns the protocols Source, Listing, ObjectStore, Journal, Queue, Control, Observer, Clock, Pace, RequestPace and
CallPermits. All bytes cross the ports in buffers of the caller (`readinto`, `memoryview`), so that the part that bounds
the memory also owns it. Adapters raise the errors of `errors`; a cancellation is never wrapped.
"""

from mirrord.ports.control import Control
from mirrord.ports.journal import Journal, JournalOutbox, JournalQueries, JournalRecords, JournalTransfers
from mirrord.ports.listing import FolderListing, Found, Hints, Listing, ListingProblem
from mirrord.ports.queue import CheckItem, Queue
from mirrord.ports.runtime import (
    UNPACED,
    CallPermits,
    Clock,
    Observer,
    Pace,
    PacedStream,
    RequestPace,
    SourceLimits,
)
from mirrord.ports.source import ByteStream, Source
from mirrord.ports.store import ObjectStore

__all__ = [
    "UNPACED",
    "ByteStream",
    "CallPermits",
    "CheckItem",
    "Clock",
    "Control",
    "FolderListing",
    "Found",
    "Hints",
    "Journal",
    "JournalOutbox",
    "JournalQueries",
    "JournalRecords",
    "JournalTransfers",
    "Listing",
    "ListingProblem",
    "ObjectStore",
    "Observer",
    "Pace",
    "PacedStream",
    "Queue",
    "RequestPace",
    "Source",
    "SourceLimits",
]
