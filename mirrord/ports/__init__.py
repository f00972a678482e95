"""Every seam of mirrord, one file each: what the core asks of the world. Adapters implement, `daemon` wires.

Owns the shapes of Source, Listing, ObjectStore, Journal, Queue, Observer and Clock. All bytes cross these seams in the
caller's own buffers (`readinto`, `memoryview`), so that whoever bounds the memory owns it. Errors are those of
`errors`, already translated; nothing here wraps a cancellation.
"""

from mirrord.ports.control import Control
from mirrord.ports.journal import Journal, JournalQueries, JournalRecords, JournalTransfers
from mirrord.ports.listing import FolderListing, Found, Hints, Listing, ListingProblem
from mirrord.ports.queue import CheckItem, Queue
from mirrord.ports.runtime import Clock, Observer
from mirrord.ports.source import ByteStream, Source
from mirrord.ports.store import ObjectStore

__all__ = [
    "ByteStream",
    "CheckItem",
    "Clock",
    "Control",
    "FolderListing",
    "Found",
    "Hints",
    "Journal",
    "JournalQueries",
    "JournalRecords",
    "JournalTransfers",
    "Listing",
    "ListingProblem",
    "ObjectStore",
    "Observer",
    "Queue",
    "Source",
]
