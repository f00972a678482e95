"""Fakes of the ports, for tests of mirrord and of programs that use it. Each passes the contract suite of its port.

Owns `MemoryStore` (ObjectStore), `MemorySource` (Source), `MemoryJournal` (Journal) and `ManualClock` and
`AutoAdvancingClock` (Clock). They use no network, no disk and no real time, and are neither fast nor durable. mirrord
itself imports none of them.
"""

from mirrord.testing.clock import AutoAdvancingClock, ManualClock
from mirrord.testing.journal import MemoryJournal
from mirrord.testing.memory_upload import MemoryUpload
from mirrord.testing.source import MemorySource, SourceHooks
from mirrord.testing.store import MemoryObject, MemoryStore

__all__ = [
    "AutoAdvancingClock",
    "ManualClock",
    "MemoryJournal",
    "MemoryObject",
    "MemorySource",
    "MemoryStore",
    "MemoryUpload",
    "SourceHooks",
]
