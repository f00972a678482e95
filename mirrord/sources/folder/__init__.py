"""Local folders: `LocalFolder` lists one, `SettledFolder` tests which of its files are settled."""

from mirrord.sources.folder.overlap import Overlaps
from mirrord.sources.folder.overlap_check import OverlapCheck
from mirrord.sources.folder.quarantine import FolderQuarantine
from mirrord.sources.folder.scan import LocalFolder
from mirrord.sources.folder.settle import SettledFolder, Stats
from mirrord.sources.folder.walk import FolderProblem, FoundFile

__all__ = [
    "FolderProblem",
    "FolderQuarantine",
    "FoundFile",
    "LocalFolder",
    "OverlapCheck",
    "Overlaps",
    "SettledFolder",
    "Stats",
]
