"""Local folders: `Folder` lists one, `SettledFolder` says which of its files are at rest."""

from mirrord.sources.folder.scan import Folder, FolderProblem, FoundFile
from mirrord.sources.folder.settle import SettledFolder, Stats

__all__ = ["Folder", "FolderProblem", "FoundFile", "SettledFolder", "Stats"]
