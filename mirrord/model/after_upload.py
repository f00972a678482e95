"""What happens to a folder's file when its object is proven: the values of the manifest's `after_upload`."""

from mirrord.frozen import dataclass


@dataclass(frozen=True, slots=True)
class KeepFile:
    """The file stays."""


@dataclass(frozen=True, slots=True)
class DeleteFile:
    """The file is deleted."""


@dataclass(frozen=True, slots=True)
class MoveFile:
    """The file is moved into `directory`, an absolute path. It keeps its name relative to its folder."""

    directory: str


FileRemoval = DeleteFile | MoveFile
FileAction = KeepFile | FileRemoval
