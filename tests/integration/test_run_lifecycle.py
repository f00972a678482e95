"""`mirrord run` from start to end, as systemd, Kubernetes and users start, stop and kill it."""

import asyncio
import json
import signal
import socket
import sqlite3
import stat
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from mirrord.units import MiB
from tests.support.command import mirrord
from tests.support.daemon import DEBUG, PATIENCE, one_end_for_each_start, running, store_section
from tests.support.gate import Gate
from tests.support.origin import Generated, Origin
from tests.support.proxy import StoreProxy
from tests.support.saving import mirrors
from tests.support.stored import keys_in, stored, uploads
from tests.support.weed import Server

GRACE = 3.0
BROKEN = "mirrors:\n  - urll: http://h/x\n"


def manifest(home: Path, server: Server, body: str, *, grace: float = GRACE) -> str:
    file = home / "m.yaml"
    file.write_text(f"daemon: {{shutdown_grace: {grace:g}s}}\n" + store_section(server) + body)
    return str(file)


# ── files ─────────────────────────────────────────────────────────────────────────────────────────
async def test_dropped_files_are_copied_also_while_much_else_runs(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any, origin: Origin
) -> None:
    inbox = tmp_path / "inbox"
    (inbox / "deep").mkdir(parents=True)
    (inbox / "before.csv").write_bytes(b"before")
    urls = [f"u{number}" for number in range(150)]
    for key in urls:
        origin.publish(f"/{key}", key.encode())
    folder = f"folders:\n  - {{path: inbox, to: 's3://{bucket}/in/', settle: 100ms}}\n"
    async with running(tmp_path, *DEBUG, manifest(tmp_path, weed, mirrors(origin, bucket, *urls) + folder)) as daemon:
        for number in range(150):
            (inbox / f"{number}.csv").write_bytes(b"%d" % number)
        (inbox / "deep" / "half.part").write_bytes(b"half")
        (inbox / "deep" / "half.part").rename(inbox / "deep" / "whole.csv")
        (inbox / "not.tmp").write_bytes(b"no")
        names = {"before.csv", "deep/whole.csv", *(f"{number}.csv" for number in range(150))}
        wanted = {*urls, *(f"in/{name}" for name in names)}
        await daemon.wait_for(lambda: len(daemon.logged("transfer.completed")) == len(wanted), 180)
        await daemon.synced(*wanted)
        # a new file for an idle daemon: stored after the settle time, the check and the copy
        mark, began = daemon.mark, time.monotonic()
        (inbox / "last.csv").write_bytes(b"last")
        await daemon.log("transfer.completed", since=mark, key="in/last.csv")
        assert time.monotonic() - began < 30, "long before a rescan"
        # again with other bytes
        mark = daemon.mark
        (inbox / "last.csv").write_bytes(b"at last")
        await daemon.log("transfer.completed", since=mark, key="in/last.csv")
        assert await daemon.stop() == 0
        assert one_end_for_each_start(daemon)
    assert keys_in(s3_client, bucket) == wanted | {"in/last.csv"}
    assert stored(s3_client, bucket, "in/last.csv") == b"at last"
    assert stored(s3_client, bucket, "in/77.csv") == b"77"


# ── kill -9 ───────────────────────────────────────────────────────────────────────────────────────
async def test_kill_dash_nine_loses_nothing(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin
) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    contents = {f"f{number}": b"%d" % number * 1000 for number in range(40)}
    for name, body in contents.items():
        (inbox / name).write_bytes(body)
    large = {f"large{number}": Generated(32 * MiB, seed=number) for number in range(2)}
    for key, content in large.items():
        origin.publish(f"/{key}", content)
    body = mirrors(origin, bucket, *large) + f"folders:\n  - {{path: inbox, to: 's3://{bucket}/in/', settle: 100ms}}\n"
    file = manifest(tmp_path, store_proxy.server, body)
    gate = Gate.before(store_proxy, "UploadPart", after=3)
    wanted = {*large, *(f"in/{name}" for name in contents)}
    async with running(tmp_path, file) as daemon:
        await gate.reached()
        await daemon.wait_for(lambda: len(daemon.logged("transfer.completed")) >= 5)
        await daemon.kill()
        assert daemon.process.returncode == -signal.SIGKILL
        presence = tmp_path / "state" / "mirrord" / "daemon.json"
        assert json.loads(presence.read_text())["pid"] == daemon.process.pid, "a killed process cannot remove its file"
    gate.open()
    async with running(tmp_path, file) as daemon:
        assert json.loads(presence.read_text())["pid"] == daemon.process.pid
        await daemon.synced(*wanted)
        assert await daemon.stop() == 0
        assert not presence.exists()
    assert keys_in(s3_client, bucket) == wanted
    assert uploads(s3_client, bucket) == []
    for name, expected in contents.items():
        assert stored(s3_client, bucket, f"in/{name}") == expected
    for key, content in large.items():
        assert stored(s3_client, bucket, key) == b"".join(content.pieces())


# ── starts ────────────────────────────────────────────────────────────────────────────────────────
async def test_a_second_daemon_on_the_same_state_ends_with_an_error(
    tmp_path: Path, weed: Server, bucket: str, origin: Origin
) -> None:
    origin.publish("/a", b"a")
    file = manifest(tmp_path, weed, mirrors(origin, bucket, "a"))
    async with running(tmp_path, file) as daemon:
        second = await mirrord("run", file, "--listen", "127.0.0.1:0", home=tmp_path, seconds=PATIENCE)
        assert second.code == 75, second.output
        assert str(daemon.process.pid) in second.err or "another mirrord" in second.err
        presence = json.loads((tmp_path / "state" / "mirrord" / "daemon.json").read_text())
        assert presence["pid"] == daemon.process.pid
        await daemon.synced("a")


async def test_it_starts_when_one_file_is_valid_and_not_when_none_is(
    tmp_path: Path, weed: Server, bucket: str, origin: Origin
) -> None:
    conf = tmp_path / "conf"
    conf.mkdir()
    (conf / "bad.yaml").write_text(BROKEN)
    for named in (str(conf), str(conf / "bad.yaml")):
        none = await mirrord("run", named, "--listen", "127.0.0.1:0", home=tmp_path, seconds=PATIENCE)
        assert none.code == 78, none.output
        assert "bad.yaml:2:5" in none.err
        assert "Traceback" not in none.err
    origin.publish("/a", b"a")
    manifest(conf, weed, mirrors(origin, bucket, "a"))
    async with running(tmp_path, str(conf)) as daemon:
        await daemon.synced("a")
        assert daemon.logged("manifest.rejected", file="bad.yaml")
        assert daemon.logged("manifest.loaded", file="m.yaml")
        assert await daemon.ask("/readyz") == (200, "ready\n")


async def test_an_empty_directory_is_valid_and_logged_once(
    tmp_path: Path, weed: Server, bucket: str, origin: Origin
) -> None:
    conf = tmp_path / "conf"
    conf.mkdir()
    async with running(tmp_path, str(conf)) as daemon:
        assert (await daemon.ask("/readyz"))[0] == 200
        assert (await daemon.api("status"))["totals"] == {}
        origin.publish("/a", b"a")
        manifest(conf, weed, mirrors(origin, bucket, "a"))
        await daemon.synced("a")
        assert len([line for line in daemon.lines if "no manifest" in line["event"]]) == 1
        assert await daemon.stop() == 0
    missing = await mirrord("run", str(tmp_path / "nowhere"), home=tmp_path, seconds=PATIENCE)
    assert missing.code == 2, missing.output


async def test_daemon_json_has_its_address_and_is_removed_at_its_end(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    presence = tmp_path / "state" / "mirrord" / "daemon.json"
    async with running(tmp_path, "conf") as daemon:
        found = json.loads(presence.read_text())
        assert (found["pid"], found["url"]) == (daemon.process.pid, daemon.url)
        assert stat.S_IMODE(presence.stat().st_mode) == 0o600
        assert stat.S_IMODE(presence.parent.stat().st_mode) == 0o700
        assert await daemon.stop() == 0
    assert not presence.exists()


async def test_it_may_listen_nowhere(tmp_path: Path, weed: Server, bucket: str, origin: Origin) -> None:
    origin.publish("/a", b"a")
    file = manifest(tmp_path, weed, mirrors(origin, bucket, "a"))
    async with running(tmp_path, file, listen="none") as daemon:
        assert daemon.url == ""
        assert json.loads((tmp_path / "state" / "mirrord" / "daemon.json").read_text())["url"] == ""
        await daemon.log("transfer.completed", key="a")
        assert not listening(daemon.process.pid)
        assert await daemon.stop() == 0


def listening(pid: int) -> list[str]:
    """The lines of proc(5)'s net/tcp that are listening sockets (state 0A) of this process."""
    own = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
    lines = (line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:])
    return [" ".join(line) for line in lines if line[3] == "0A" and f"socket:[{line[9]}]" in own]


async def test_a_taken_port_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = await mirrord("run", "conf", "--listen", address, home=tmp_path, seconds=PATIENCE)
    assert done.code == 1, done.output
    assert f"cannot listen on {address}" in done.err
    assert "port 0" in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "state" / "mirrord" / "daemon.json").exists()
    wrong = await mirrord("run", "conf", "--listen", "everywhere", home=tmp_path, seconds=PATIENCE)
    assert wrong.code == 2, wrong.output
    assert "--listen: 'everywhere' is no address" in wrong.err
    assert "Traceback" not in wrong.err


# ── the journal ───────────────────────────────────────────────────────────────────────────────────
async def test_a_journal_of_a_newer_mirrord_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    async with running(tmp_path, "conf") as daemon:
        assert await daemon.stop() == 0
    journal = tmp_path / "state" / "mirrord" / "state.db"
    with sqlite3.connect(journal) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    done = await mirrord("run", "conf", "--listen", "127.0.0.1:0", home=tmp_path, seconds=PATIENCE)
    assert done.code == 1, done.output
    assert "schema 99" in done.err
    assert "newer mirrord" in done.err
    assert "Traceback" not in done.err
    assert _version(journal) == 99


async def test_an_older_journal_is_migrated(tmp_path: Path, weed: Server, bucket: str, origin: Origin) -> None:
    journal = tmp_path / "state" / "mirrord" / "state.db"
    journal.parent.mkdir(parents=True)
    scripts = sorted(files("mirrord.journal.sqlite").joinpath("migrations").iterdir(), key=lambda one: one.name)
    with sqlite3.connect(journal) as connection:
        connection.executescript(f"{scripts[0].read_text()}; PRAGMA user_version = 1")
    connection.close()
    origin.publish("/a", b"a")
    async with running(tmp_path, manifest(tmp_path, weed, mirrors(origin, bucket, "a"))) as daemon:
        await daemon.synced("a")
        assert await daemon.stop() == 0
    assert _version(journal) == len(scripts) > 1


def _version(journal: Path) -> int:
    with sqlite3.connect(journal) as connection:
        found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.close()
    return found


# ── systemd ───────────────────────────────────────────────────────────────────────────────────────
class FakeSystemd(asyncio.DatagramProtocol):
    """The datagrams received at $NOTIFY_SOCKET, each as a list of lines."""

    def __init__(self) -> None:
        self.received: list[list[str]] = []

    def datagram_received(self, datagram: bytes, addr: object) -> None:
        self.received.append(datagram.decode().split("\n"))

    def has_received(self, line: str, since: int = 0) -> bool:
        return any(line in lines for lines in self.received[since:])

    def count(self, line: str) -> int:
        return sum(line in lines for lines in self.received)


@asynccontextmanager
async def fake_systemd(path: Path) -> AsyncIterator[FakeSystemd]:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listening.bind(str(path))
    transport, systemd = await asyncio.get_running_loop().create_datagram_endpoint(FakeSystemd, sock=listening)
    try:
        yield systemd
    finally:
        transport.close()


async def test_systemd_is_notified_of_each_change(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, origin: Origin
) -> None:
    origin.publish("/large", Generated(40 * MiB, seed=6))
    file = manifest(tmp_path, store_proxy.server, mirrors(origin, bucket, "large"))
    gate = Gate.before(store_proxy, "UploadPart", after=1)
    async with fake_systemd(tmp_path / "notify") as systemd:
        env = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "400000"}
        async with running(tmp_path, file, env=env) as daemon:
            await gate.reached()
            assert systemd.has_received("READY=1")
            assert systemd.received[0][0] == "READY=1", "the first message must be READY=1"
            await daemon.wait_for(lambda: systemd.count("WATCHDOG=1") >= 4)
            await daemon.wait_for(
                lambda: any("Transferring" in lines[0] for lines in systemd.received if lines[0].startswith("STATUS="))
            )
            mark = len(systemd.received)
            daemon.signal(signal.SIGHUP)
            await daemon.wait_for(lambda: systemd.has_received("READY=1", mark))
            reloading = next(lines for lines in systemd.received[mark:] if "RELOADING=1" in lines)
            assert reloading[1].startswith("MONOTONIC_USEC=")
            assert systemd.received.index(reloading) < next(
                number for number, lines in enumerate(systemd.received) if number >= mark and "READY=1" in lines
            )
            mark = len(systemd.received)
            daemon.signal(signal.SIGTERM)
            await daemon.wait_for(lambda: systemd.has_received("STOPPING=1", mark))
            await daemon.wait_for(
                lambda: systemd.has_received("WATCHDOG=1", mark) or daemon.process.returncode is not None
            )
            gate.open()
            assert await daemon.ended() == 0
            assert not systemd.has_received("READY=1", mark)
