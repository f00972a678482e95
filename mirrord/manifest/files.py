"""Reads the files of manifests, whole and within a limit: never a device, and a pipe only where one is expected.

A FIFO without a writer, or a device that never ends, would block its reader for ever.
"""

import errno
import os
import stat

STDIN = "-"
"""The PATH that stands for standard input."""
_PIECE = 1024 * 1024
_KINDS = {
    stat.S_IFDIR: os.strerror(errno.EISDIR),
    stat.S_IFIFO: "it is a pipe, not a regular file",
    stat.S_IFCHR: "it is a device, not a regular file",
    stat.S_IFBLK: "it is a device, not a regular file",
}


def read_file(path: str, most: int, *, pipe: bool = False) -> bytes:
    """The bytes of a regular file, links followed; one more than `most` if it is larger. With `pipe` also of a pipe, or
    of standard input for `-`. Raises OSError, for other kinds of files too."""
    if path == STDIN:
        if not pipe:
            raise OSError(errno.EINVAL, "it is standard input, which cannot be read again: name a file or a directory")
        return _read(0, most)
    waits = pipe and stat.S_ISFIFO(os.stat(path).st_mode)  # for its writer, who must not see it opened and closed
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | (0 if waits else os.O_NONBLOCK))
    try:
        kind = stat.S_IFMT(os.fstat(file).st_mode)
        if kind != stat.S_IFREG and not (waits and kind == stat.S_IFIFO):
            raise OSError(errno.EINVAL, _KINDS.get(kind, "it is not a regular file"))
        return _read(file, most)
    finally:
        os.close(file)


def _read(file: int, most: int) -> bytes:
    content = bytearray()
    while len(content) <= most and (piece := os.read(file, min(_PIECE, most + 1 - len(content)))):
        content += piece
    return bytes(content)
