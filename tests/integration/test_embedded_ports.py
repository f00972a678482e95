"""The embedded store's ports other than S3: without credentials no object can be read or changed through them.

The tests find every listening port of the real SeaweedFS in /proc and use it as another user of the machine would.
"""

import asyncio
import os
import re
import socket
import ssl
import stat
import struct
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from glob import glob
from itertools import product
from pathlib import Path

import aiohttp
import pytest

from mirrord.errors import StoreRefused
from mirrord.model import Destination, ObjectOptions
from mirrord.s3.embedded import weed as weed_module
from mirrord.s3.embedded.store import EmbeddedStore
from mirrord.s3.embedded.weed import find_weed
from mirrord.s3.session import S3Store
from tests.support.weed import embedded_processes

CONTENT = b"only for those who have the keys"
AT = Destination("default", "embedded", "private", "a/key")
HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)
HTTP2_SETTINGS = 4


@dataclass(frozen=True)
class Running:
    """A started embedded store with one object, and the listening ports of its process."""

    store: S3Store
    directory: Path
    s3: int
    ports: list[int]

    @property
    def grpc(self) -> list[int]:
        return [port for port in self.ports if port - 10_000 in self.ports]

    @property
    def http(self) -> list[int]:
        return [port for port in self.ports if port not in self.grpc]

    @property
    def file_id(self) -> str:
        """The file id of the object's only chunk, from the file of the volume."""
        (file,) = (self.directory / "embedded").glob(f"{AT.bucket}_*.dat")
        at = file.read_bytes().index(CONTENT)
        cookie, needle, _size, _length = struct.unpack(">IQII", file.read_bytes()[at - 20 : at])
        return f"{file.stem.rpartition('_')[2]},{needle:x}{cookie:08x}"


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    async with EmbeddedStore(tmp_path) as embedded, S3Store(embedded.options()) as store:
        await store.ensure_bucket(AT.bucket)
        await store.put_object(AT, memoryview(CONTENT), ObjectOptions())
        (process,) = embedded_processes()
        s3 = int(embedded.endpoint_url.rpartition(":")[2])
        yield Running(store, tmp_path, s3, listening(process))


def listening(process: int) -> list[int]:
    """The TCP ports on which a process listens."""
    inodes = set[str]()
    for one in Path(f"/proc/{process}/fd").iterdir():
        with suppress(FileNotFoundError):  # the process has just closed it: no socket that listens
            if found := re.fullmatch(r"socket:\[(\d+)\]", str(one.readlink())):
                inodes.add(found[1])
    rows = [line.split() for kind in ("tcp", "tcp6") for line in Path(f"/proc/net/{kind}").read_text().splitlines()[1:]]
    return sorted(int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == "0A" and row[9] in inodes)


def form() -> aiohttp.FormData:
    """The multipart form of a file, which filer and volume server accept."""
    body = aiohttp.FormData()
    body.add_field("file", b"changed", filename="file")
    return body


async def read(store: S3Store) -> bytes:
    content = bytearray(2 * len(CONTENT))
    async with store.get_object(AT) as stream:
        return bytes(content[: await stream.readinto(memoryview(content))])


async def test_http_serves_and_changes_no_object(running: Running) -> None:
    assert len(running.ports) == 10, "five servers, each with HTTP and gRPC"
    names = [f"/buckets/{AT.bucket}/{AT.key}", f"/{AT.bucket}/{AT.key}", f"/{running.file_id}", f"/buckets/{AT.bucket}"]
    asked = ["/", "/dir/status", "/vol/status", "/dir/lookup?volumeId=1&read=yes", f"/dir/lookup?fileId={names[2][1:]}"]
    changing = ["/submit", "/dir/assign", f"/col/delete?collection={AT.bucket}", "/vol/grow?count=1", "/.tus/x"]
    async with aiohttp.ClientSession() as session:
        for port, method, path in product(
            running.http, ("GET", "HEAD", "PUT", "POST", "DELETE"), names + asked + changing
        ):
            body = form() if method in ("PUT", "POST") else None
            async with session.request(
                method, f"http://127.0.0.1:{port}{path}", data=body, allow_redirects=False
            ) as one:
                received = await one.read()
                assert CONTENT not in received, (port, method, path)
                assert "Authorization" not in one.headers, "a token for others"
                assert not re.search(rb'"(fid|auth)"', received), (port, method, path, received)
                if path in names or path in changing:
                    assert one.status >= 400, (port, method, path, received)
    assert await read(running.store) == CONTENT
    assert await running.store.list_buckets() == [AT.bucket]


async def test_grpc_requires_the_certificate(running: Running) -> None:
    assert len(running.grpc) == 5
    for port in running.grpc:
        assert HTTP2_SETTINGS not in await asyncio.to_thread(plain_http2, port), port
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.to_thread(http2_over_tls, port, None)
        certificate = running.directory / "embedded" / "grpc.pem"
        assert HTTP2_SETTINGS in await asyncio.to_thread(http2_over_tls, port, certificate), "the check can fail"


def plain_http2(port: int) -> bytes:
    """The types of the first frames of the server; those of a gRPC server start with SETTINGS."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        return frame(connection)


def http2_over_tls(port: int, certificate: Path | None) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    if certificate is not None:
        context.load_cert_chain(certificate)
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as connection,
        context.wrap_socket(connection) as encrypted,
    ):
        return frame(encrypted)


def frame(connection: socket.socket) -> bytes:
    connection.sendall(HTTP2_PREFACE)
    try:
        return connection.recv(9)[3:4]
    except ConnectionResetError:
        return b""


async def test_weed_shell_without_the_certificate_fails(running: Running, tmp_path: Path) -> None:
    master = next(port for port in running.http if port == running.s3 + 1)
    shell = await asyncio.create_subprocess_exec(
        *(find_weed(), "shell", f"-master=127.0.0.1:{master}"),
        env={"HOME": str(tmp_path)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert shell.stdin is not None
    shell.stdin.write(f"fs.cat /buckets/{AT.bucket}/{AT.key}\nlock\nfs.rm /buckets/{AT.bucket}/{AT.key}\n".encode())
    try:
        received, _ = await asyncio.wait_for(shell.communicate(), 5)  # it tries to reach the master without end
    except TimeoutError:
        shell.kill()
        received, _ = await shell.communicate()
    assert CONTENT not in received
    assert await read(running.store) == CONTENT


async def test_s3_asks_for_credentials(running: Running) -> None:
    async with aiohttp.ClientSession(f"http://127.0.0.1:{running.s3}") as session:
        for method, path in product(("GET", "PUT", "POST", "DELETE"), ("/", f"/{AT.bucket}", f"/{AT.bucket}/{AT.key}")):
            async with session.request(method, path) as answer:
                assert answer.status in (400, 403, 405, 411), (method, path)
                assert CONTENT not in await answer.read()
    assert await read(running.store) == CONTENT


async def test_files_and_sockets_are_for_the_owner_only(running: Running) -> None:
    directory = running.directory / "embedded"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((directory / "grpc.pem").stat().st_mode) == 0o600
    sockets = [path for port in running.ports for path in glob(f"/tmp/seaweedfs-*-{port}.sock")]
    assert len(sockets) >= 5
    assert all(stat.S_IMODE(os.stat(path).st_mode) & 0o077 == 0 for path in sockets)


async def test_each_start_logs_what_is_not_protected(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        caplog.clear()
        async with EmbeddedStore(tmp_path), EmbeddedStore(tmp_path):  # the second one uses the running store
            (line,) = [one.getMessage() for one in caplog.records if one.name == "mirrord.s3.embedded.store"]
            assert "names of buckets" in line
    certificate = (tmp_path / "embedded" / "grpc.pem").read_text()
    assert certificate.splitlines()[1] not in caplog.text


async def test_a_directory_of_an_older_version_opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store with data that an older version without keys and certificate has created."""
    (tmp_path / "embedded").mkdir(mode=0o755)
    with monkeypatch.context() as before:
        before.setattr(weed_module, "protection", lambda _: {})
        async with EmbeddedStore(tmp_path) as embedded, S3Store(embedded.options()) as store:
            await store.ensure_bucket(AT.bucket)
            await store.put_object(AT, memoryview(CONTENT), ObjectOptions())
    assert not (tmp_path / "embedded" / "grpc.pem").exists()
    async with EmbeddedStore(tmp_path) as embedded, S3Store(embedded.options()) as store:
        assert await read(store) == CONTENT
        assert stat.S_IMODE((tmp_path / "embedded").stat().st_mode) == 0o700


async def test_without_its_library_it_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    monkeypatch.setattr(weed_module, "find_weed", lambda: "/weed")
    with pytest.raises(StoreRefused, match=r"pip install 'mirrord\[embedded\]'"):
        async with EmbeddedStore(tmp_path / "state"):
            pytest.fail("it started")
