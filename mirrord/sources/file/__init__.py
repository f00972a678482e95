"""Local files as sources: `source` has the file's revision and its checks, `streams` its bytes."""

from mirrord.sources.file.source import READ_AHEAD, FileSource, file_source
from mirrord.sources.file.streams import READ_MOST

__all__ = ["READ_AHEAD", "READ_MOST", "FileSource", "file_source"]
