"""Fixtures of stores whose servers the tests do not install: docs/stores.md has them, measured where they are on PATH.

`go install github.com/minio/minio@latest github.com/versity/versitygw/cmd/versitygw@latest` builds them.
"""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from mirrord.model import ProviderName
from mirrord.s3.embedded.weed import HOST, free_port, killed_with_parent
from tests.support.weed import Server

BUILT = {"MinIO": "minio", "versitygw": "versitygw"}
"""The program of each; its fixture has the same name."""


def present() -> dict[str, str]:
    """The program of each store that is on PATH, by its name with the version."""
    return {f"{name} {_version(program)}": program for name, program in BUILT.items() if shutil.which(program)}


def _version(program: str) -> str:
    """That of the module, or the date of its commit: a program that `go install` built does not know its own."""
    command = ["go", "version", "-m", str(shutil.which(program))]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"^\tmod\t\S+\tv(\S+)", shown, re.MULTILINE)
    assert found, f"{command} names no version"
    commit = re.search(r"-(\d{4})(\d\d)(\d\d)\d{6}-[0-9a-f]{12}$", found[1])
    return "-".join(commit.groups()) if commit else found[1]


@pytest.fixture(scope="session")
def minio() -> Iterator[Server]:
    with _running("minio", ProviderName.MINIO) as server:
        yield server


@pytest.fixture(scope="session")
def versitygw() -> Iterator[Server]:
    with _running("versitygw", ProviderName.GENERIC) as server:
        yield server


@contextmanager
def _running(program: str, provider: ProviderName) -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix=f"mirrord-{program}-", ignore_cleanup_errors=True) as directory:
        server = Server(f"http://{HOST}:{free_port()}", provider=provider)
        objects = Path(directory) / "objects"
        objects.mkdir()
        with open(Path(directory) / "log", "wb") as log:
            process = subprocess.Popen(
                _command(program, server, str(objects)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"HOME": directory, "PATH": "/usr/bin:/bin", **_keys(server)},
                preexec_fn=killed_with_parent(),
            )
        try:
            server.wait_until_ready(lambda: process.poll() is None)
            yield server
        finally:
            process.kill()
            process.wait()


def _keys(server: Server) -> Mapping[str, str]:
    key, secret = server.access_key_id, server.secret_access_key
    minio = {"MINIO_ROOT_USER": key, "MINIO_ROOT_PASSWORD": secret}
    return minio | {"ROOT_ACCESS_KEY": key, "ROOT_SECRET_KEY": secret}


def _command(program: str, server: Server, objects: str) -> list[str]:
    address, path = server.endpoint_url.removeprefix("http://"), str(shutil.which(program))
    if program == "minio":
        return [path, "server", objects, "--address", address, "--console-address", f"{HOST}:{free_port()}"]
    return [path, "--port", address, "posix", objects]
