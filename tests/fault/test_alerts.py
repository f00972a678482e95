"""Each alert of configs/prometheus fires in a real Prometheus when its fault happens in a real daemon, and clears.

Two daemons have all faults at once. `main` meets those of manifests, sources, stores and folders; `small`, whose state
is on a disk of its own, those of the disk, of the journal, and of a folder that hangs. Then each query of the dashboard
runs on what was recorded.
"""

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from mirrord.s3.embedded.weed import free_port, killed_with_parent
from tests.support.command import environment
from tests.support.daemon import Daemon, running, store_section
from tests.support.hanging import Hanging
from tests.support.origin import Origin, answers
from tests.support.prometheus import HAS_PROMETHEUS, MISSING_PROMETHEUS, RULES, prometheus
from tests.support.proxy import Seen, StoreProxy
from tests.support.saving import mirrors
from tests.support.weed import Server

DISK = ["unshare", "--user", "--map-root-user", "--mount", "bash", "-c"]
SPEED = 10.0
DASHBOARD = Path(__file__).parents[2] / "configs" / "grafana" / "mirrord.json"
OFTEN = "settle: 50ms, rescan: 500ms, poll_interval: 200ms"

pytestmark = [
    pytest.mark.skipif(not HAS_PROMETHEUS, reason=f"{MISSING_PROMETHEUS} is installed"),
    pytest.mark.skipif(
        shutil.which("unshare") is None or subprocess.run([*DISK, "true"], check=False).returncode != 0,
        reason="no namespaces for this user",
    ),
]


@asynccontextmanager
async def on_its_own_disk(home: Path, hanging: Hanging, port: int) -> AsyncIterator[Daemon]:
    """`mirrord run` with its state on a file system of 32 MiB that only this process sees."""
    command = f"-m mirrord run --listen 127.0.0.1:{port} --state disk m.yaml"
    script = f'mount -t tmpfs -o size=32m tmpfs disk; exec "$0" {command}'
    (home / "disk").mkdir()
    process = await asyncio.create_subprocess_exec(
        *DISK,
        script,
        sys.executable,
        env=environment(home, hanging.env),
        cwd=home,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=killed_with_parent(),
    )
    daemon = Daemon(process)
    try:
        daemon.url = (await daemon.log("daemon.ready"))["url"]
        yield daemon
    finally:
        hanging.open()
        await daemon.close()


async def cut(seen: Seen, request: web.Request) -> web.StreamResponse:
    """A store that closes each connection."""
    assert request.transport is not None
    request.transport.abort()
    raise ConnectionResetError


class Main:
    """The faults of the daemon `main`."""

    def __init__(self, home: Path, origin: Origin, proxy: StoreProxy, bucket: str) -> None:
        self.conf, self.inbox, self.origin, self.proxy = home / "conf", home / "inbox", origin, proxy
        self.broken = self.conf / "broken.yaml"
        for directory in (home, self.conf, self.inbox):
            directory.mkdir()
        for name in ("a", "b"):
            origin.publish(f"/{name}", b"first")
        (self.conf / "m.yaml").write_text(
            store_section(proxy.server)
            + mirrors(origin, bucket, "a", "b", more=", every: 10s")
            + f"folders: [{{path: {self.inbox}, to: 's3://{bucket}/in/', {OFTEN}}}]\n"
        )

    async def fail(self, daemon: Daemon) -> None:
        self.origin.behave("/b", answers(404))
        await daemon.log("item.blocked")  # later, `b` would wait for the store
        self.proxy.before = cut
        self.origin.publish("/a", b"second")
        self.broken.write_text("mirrors: {")
        self.inbox.rename(self.inbox.with_name("away"))

    def heal(self) -> None:
        self.proxy.before = None
        self.origin.behave("/b")
        self.broken.unlink()
        self.inbox.with_name("away").rename(self.inbox)


class Small:
    """The faults of the daemon `small`."""

    def __init__(self, home: Path, weed: Server, bucket: str) -> None:
        home.mkdir()
        (home / "hangs").mkdir()
        (home / "m.yaml").write_text(
            f"{store_section(weed)}folders: [{{path: hangs, to: 's3://{bucket}/', {OFTEN}}}]\n"
        )
        self.home, self.hanging = home, Hanging(home, home / "hangs", 1000.0)

    def disk(self, daemon: Daemon) -> Path:
        return Path(f"/proc/{daemon.process.pid}/root{self.home}/disk")

    def fail(self, daemon: Daemon) -> None:
        disk = self.disk(daemon)
        (disk / "fill").write_bytes(bytes(25 * 1024 * 1024))
        (disk / "state.db").rename(disk / "away.db")
        self.hanging.close()

    def heal(self, daemon: Daemon) -> None:
        disk = self.disk(daemon)
        (disk / "fill").unlink()
        (disk / "away.db").rename(disk / "state.db")
        self.hanging.open()


OF_MAIN = (
    "MirrordItemStale",
    "MirrordNoSuccess",
    "MirrordFolderDown",
    "MirrordStoreDown",
    "MirrordManifestRejected",
    "MirrordBlockedItemsRising",
)
OF_SMALL = ("MirrordFolderNotScanned", "MirrordJournalNotWritable", "MirrordStateDiskLow")


async def test_each_alert_fires_and_clears(
    tmp_path: Path, origin: Origin, weed: Server, store_proxy: StoreProxy, bucket: str
) -> None:
    main, small = Main(tmp_path / "main", origin, store_proxy, bucket), Small(tmp_path / "small", weed, bucket)
    port = free_port()
    async with prometheus(tmp_path / "prometheus", port, {"main": port + 1, "small": port + 2}) as server:
        await server.wait_until_fired(("MirrordDown", ""))
        async with (
            running(main.conf.parent, str(main.conf), listen=f"127.0.0.1:{port + 1}", speed=SPEED) as daemon,
            on_its_own_disk(small.home, small.hanging, port + 2) as other,
        ):
            await daemon.synced("a", "b")
            await server.wait_until_clear()
            assert await server.fired() == {("MirrordDown", "")}, "nothing else fires while all is well"
            await main.fail(daemon)
            small.fail(other)
            faults = {(name, "main") for name in OF_MAIN} | {(name, "small") for name in OF_SMALL}
            await server.wait_until_fired(*faults)
            assert await server.fired() == faults | {("MirrordDown", "")}
            main.heal()
            small.heal(other)
            await server.wait_until_clear()
            assert [name for name, query in on_the_dashboard() if not await server.query(query)] == NO_DATA


NO_DATA = ["Parts of multipart uploads"]
"""Here is no multipart upload."""


def on_the_dashboard() -> Iterator[tuple[str, str]]:
    """(title, query) of each panel, with the values that Grafana fills in."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel["targets"]:
            query = target["expr"].replace("$instance", ".*").replace("$__rate_interval", "1m")
            assert "$" not in query
            yield panel["title"], query


def test_every_alert_is_tested() -> None:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    assert {rule["alert"] for rule in rules} == {"MirrordDown", *OF_MAIN, *OF_SMALL}
