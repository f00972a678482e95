"""How a change of the files of keys and authorities is noticed: by their stat fields."""

from collections.abc import Iterable, Mapping
from pathlib import Path

StatFields = tuple[int, int, int] | None
"""mtime (ns), inode and size of a file; None: it cannot be read."""
FileStats = Mapping[Path, StatFields]


def file_stats(files: Iterable[Path]) -> FileStats:
    """The stat fields of files. They change when a file is replaced or written."""
    return {file: _stat_fields(file) for file in files}


def _stat_fields(file: Path) -> StatFields:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size
