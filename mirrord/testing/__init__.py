"""Fakes of the ports, for tests of mirrord and of programs that use it. Each passes the port's contract suite.

Owns `MemoryStore` (ObjectStore), `MemorySource` (Source), `MemoryJournal` (Journal) and `ManualClock` and
`HurriedClock` (Clock). They use
no network, no disk and no real time, and are neither fast nor durable. mirrord itself imports none of them.
"""

from mirrord.testing.clock import HurriedClock, ManualClock
from mirrord.testing.journal import MemoryJournal
from mirrord.testing.source import Hooks, MemorySource
from mirrord.testing.store import KeptObject, KeptUpload, MemoryStore

__all__ = [
    "Hooks",
    "HurriedClock",
    "KeptObject",
    "KeptUpload",
    "ManualClock",
    "MemoryJournal",
    "MemorySource",
    "MemoryStore",
]
