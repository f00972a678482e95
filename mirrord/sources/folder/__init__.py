"""Local folders: `Folder` lists one, `SettledFolder` says which of its files are at rest."""

from mirrord.sources.folder.aside import FolderQuarantine
from mirrord.sources.folder.overlap import OverlapCheck, Overlaps
from mirrord.sources.folder.scan import Folder
from mirrord.sources.folder.settle import SettledFolder, Stats
from mirrord.sources.folder.walk import FolderProblem, FoundFile

__all__ = [
    "Folder",
    "FolderProblem",
    "FolderQuarantine",
    "FoundFile",
    "OverlapCheck",
    "Overlaps",
    "SettledFolder",
    "Stats",
]
