"""A directory whose file system hangs: system calls on it block until the test opens a gate. For real processes.

`env` makes Python load a `sitecustomize` that wraps the system calls; it also shortens the time without an answer after
which a root is down. A call blocks in the kernel, as with a dead NFS server: it opens a FIFO that has no writer.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from tests.support.command import REPOSITORY

_CUSTOMIZED = """
import os

from mirrord.sources.pool import FilePools

FilePools.__init__.__kwdefaults__["silence"] = {silence}
_exists, _open, _read_link = os.path.lexists, os.open, os.readlink
_entered = os.environ["HANGS_ENTERED"]


def _path(target, dir_fd):
    if isinstance(target, int):
        return _read_link(f"/proc/self/fd/{{target}}")
    text = os.fsdecode(target)
    return text if dir_fd is None else f"{{_read_link(f'/proc/self/fd/{{dir_fd}}')}}/{{text}}"


def _hanging(call):
    def made(target=".", *more, dir_fd=None, **named):
        if _path(target, dir_fd).startswith({root!r}) and os.access({gate!r}, os.F_OK):
            os.close(_open(_entered, os.O_CREAT | os.O_WRONLY))
            os.close(_open({gate!r}, os.O_RDONLY))
        return call(target, *more, **({{}} if dir_fd is None else {{"dir_fd": dir_fd}}), **named)

    return made


for _name in ("stat", "lstat", "open", "scandir", "preadv", "fstat"):
    setattr(os, _name, _hanging(getattr(os, _name)))
"""


class Hanging:
    """`hanging = Hanging(tmp_path, root, silence)`; run the daemon with `hanging.env`; `close` and `open` the gate."""

    def __init__(self, home: Path, root: Path, silence: float) -> None:
        self._gate = home / "gate"
        self._entered = home / "entered"
        self._site = home / "site"
        self._site.mkdir()
        text = _CUSTOMIZED.format(silence=silence, root=str(root), gate=str(self._gate))
        (self._site / "sitecustomize.py").write_text(text)

    @property
    def env(self) -> Mapping[str, str]:
        return {"PYTHONPATH": f"{self._site}:{REPOSITORY}", "HANGS_ENTERED": str(self._entered)}

    @property
    def entered(self) -> bool:
        """Whether a call has blocked since `close`."""
        return self._entered.exists()

    def close(self) -> None:
        """From now on every call on the directory blocks."""
        self._entered.unlink(missing_ok=True)
        os.mkfifo(self._gate)

    def open(self) -> None:
        """Continue all blocked calls; new calls do not block."""
        if self._gate.exists():
            waker = os.open(self._gate, os.O_RDWR)
            self._gate.unlink()
            os.close(waker)
