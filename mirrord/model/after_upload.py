"""What happens to a folder's file when its object is proven: the values of the manifest's `after_upload`."""

from mirrord.frozen import frozen


@frozen
class KeepFile:
    """The file stays."""


@frozen
class DeleteFile:
    """The file is deleted."""


@frozen
class MoveFile:
    """The file is moved into `directory`, an absolute path. It keeps its name relative to its folder."""

    directory: str


FileRemoval = DeleteFile | MoveFile
FileAction = KeepFile | FileRemoval
