"""Reads the files of manifests completely and within a limit: no devices, and pipes only where the caller allows them.

A FIFO without a writer, or a device without an end, would block its reader without limit.
"""

import errno
import os
import stat

STDIN = "-"
"""The PATH that stands for standard input."""
_CHUNK = 1024 * 1024
_KINDS = {
    stat.S_IFDIR: os.strerror(errno.EISDIR),
    stat.S_IFIFO: "it is a pipe, not a regular file",
    stat.S_IFCHR: "it is a device, not a regular file",
    stat.S_IFBLK: "it is a device, not a regular file",
}


def read_file(path: str, most: int, *, pipe: bool = False) -> bytes:
    """The bytes of a regular file; links are followed. Of a file larger than `most` bytes it returns `most + 1` bytes.
    With `pipe` also of a pipe, or of standard input for `-`. Raises OSError, also for other kinds of files."""
    if path == STDIN:
        if not pipe:
            raise OSError(errno.EINVAL, "it is standard input, which cannot be read again: name a file or a directory")
        return _read(0, most)
    waits = pipe and stat.S_ISFIFO(os.stat(path).st_mode)  # for the writer: an open and close would end it early
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
    while len(content) <= most and (chunk := os.read(file, min(_CHUNK, most + 1 - len(content)))):
        content += chunk
    return bytes(content)
