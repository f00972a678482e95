"""A directory whose file system hangs: calls about it block until the test lets them go, in a real `mirrord` process.

`env` makes Python load a `sitecustomize` that wraps the system calls; it also shortens the silence after which a root
is down. A call blocks as on a dead NFS server: in the kernel, here by opening a FIFO that nobody writes to.
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


def _path(about, dir_fd):
    if isinstance(about, int):
        return _read_link(f"/proc/self/fd/{{about}}")
    text = os.fsdecode(about)
    return text if dir_fd is None else f"{{_read_link(f'/proc/self/fd/{{dir_fd}}')}}/{{text}}"


def _hanging(call):
    def made(about=".", *more, dir_fd=None, **named):
        if _path(about, dir_fd).startswith({root!r}) and os.access({gate!r}, os.F_OK):
            os.close(_open(_entered, os.O_CREAT | os.O_WRONLY))
            os.close(_open({gate!r}, os.O_RDONLY))
        return call(about, *more, **({{}} if dir_fd is None else {{"dir_fd": dir_fd}}), **named)

    return made


for _name in ("stat", "lstat", "open", "scandir", "preadv", "fstat"):
    setattr(os, _name, _hanging(getattr(os, _name)))
"""


class Hanging:
    """`hanging = Hanging(tmp_path, root)`; run the daemon with `hanging.env`; `close` and `open` the gate."""

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
        """Whether a call hangs since `close`."""
        return self._entered.exists()

    def close(self) -> None:
        """From now on every call about the directory hangs."""
        self._entered.unlink(missing_ok=True)
        os.mkfifo(self._gate)

    def open(self) -> None:
        """Let go of all calls that hang; new ones are answered."""
        if self._gate.exists():
            waker = os.open(self._gate, os.O_RDWR)
            self._gate.unlink()
            os.close(waker)
