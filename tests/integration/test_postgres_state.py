"""Commands on a state in a real PostgreSQL: migrate, sync, status; a standby that takes over; PostgreSQL away."""

import json
import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from mirrord.journal.postgres import migrate
from mirrord.journal.postgres.schema import migrations
from mirrord.model import Secret
from tests.support.command import mirrord
from tests.support.daemon import PATIENCE, Daemon, running, started, store_section
from tests.support.origin import Origin
from tests.support.postgres import LeasedJournal, PostgresServer
from tests.support.saving import mirrors
from tests.support.stored import keys_in, stored
from tests.support.weed import Server


def manifest(home: Path, server: Server, state: str, body: str) -> str:
    home.mkdir(exist_ok=True)
    file = home / "m.yaml"
    daemon = f"daemon: {{shutdown_grace: 3s, state: {json.dumps(state)}}}\ndefaults: {{every: 1s}}\n"
    file.write_text(daemon + store_section(server) + body)
    return str(file)


def with_password(uri: str) -> str:
    """The server trusts everyone, so that any password is accepted."""
    return uri.replace("postgres@", "postgres:hunter2@")


async def test_sync_and_status_on_a_journal_in_postgresql(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any, origin: Origin, postgres: PostgresServer
) -> None:
    origin.publish("/a", b"a")
    uri = with_password(postgres.database())
    file = manifest(tmp_path, weed, "${JOURNAL}", mirrors(origin, bucket, "a"))
    env = {"JOURNAL": uri}

    async def command(*arguments: str) -> tuple[int, str]:
        done = await mirrord(*arguments, home=tmp_path, env=env, seconds=PATIENCE)
        assert "hunter2" not in done.output
        assert "Traceback" not in done.output, done.output
        return done.code, done.out + done.err

    code, said = await command("sync", file)
    assert (code, "no tables of mirrord yet; run `mirrord migrate`" in said) == (1, True), said
    code, said = await command("migrate", "--config", file)
    assert (code, f"has schema {migrations()[-1].version} now" in said) == (0, True), said
    code, said = await command("migrate", "--state", uri)
    assert (code, "nothing to do: the journal postgresql:///" in said) == (0, True), said
    code, said = await command("migrate", "--state", str(tmp_path / "elsewhere"))
    assert (code, "nothing to do" in said, "SQLite" in said) == (0, True, True), said
    assert not (tmp_path / "elsewhere").exists()
    for copied in ("1 copied", "1 unchanged"):
        code, said = await command("sync", file)
        assert (code, copied in said) == (0, True), said
    assert stored(s3_client, bucket, "a") == b"a"
    code, said = await command("status", "--config", file, "--json")
    shown = json.loads(said)
    assert (code, shown["totals"], shown["journal"][:13]) == (0, {"Synced": 1}, "postgresql://")
    assert shown["last_written"] is not None
    assert not list((tmp_path / "state").rglob("state.db")), "the journal is elsewhere"
    async with LeasedJournal(uri):  # as another process
        code, said = await command("sync", file)
        assert (code, f"(pid {os.getpid()} on {socket.gethostname()}) holds" in said) == (75, True), said
        code, said = await command("plan", file)
        assert code == 0, said
    code, said = await command("sync", "--state", "postgresql://me:hunter2@127.0.0.1:1/none", file)
    assert (code, "check PostgreSQL and the network" in said) == (1, True), said


@pytest.fixture
async def uri(postgres: PostgresServer) -> str:
    uri = postgres.database()
    await migrate(Secret(uri))
    return uri


async def is_standby(daemon: Daemon, holder: Daemon) -> None:
    line = await daemon.log("daemon.standby")
    daemon.url = line["url"]
    assert f"(pid {holder.process.pid} on {socket.gethostname()})" in line["holder"]
    assert (await daemon.ask("/livez"))[0] == 200
    status, why = await daemon.ask("/readyz")
    assert (status, "standby: another mirrord" in why) == (503, True)
    assert (await daemon.ask("/api/v1/items"))[0] == 503


async def took_over(daemon: Daemon) -> None:
    daemon.url = (await daemon.log("daemon.ready"))["url"]
    assert (await daemon.ask("/readyz"))[0] == 200


async def test_a_standby_takes_over_from_a_daemon_that_is_paused_killed_or_stopped(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any, origin: Origin, uri: str
) -> None:
    origin.publish("/a", b"first")
    files = [manifest(tmp_path / name, weed, uri, mirrors(origin, bucket, "a")) for name in "xyz"]
    async with (
        running(tmp_path / "x", files[0]) as first,
        started(tmp_path / "y", files[1], listen="127.0.0.1:0") as second,
    ):
        await first.synced("a")
        await is_standby(second, first)
        first.signal(signal.SIGSTOP)
        await took_over(second)
        origin.publish("/a", b"second")
        await second.log("transfer.completed", key="a")
        mark = first.mark
        first.signal(signal.SIGCONT)
        assert await first.ended() == 1
        assert "another mirrord took over the state" in first.noise[-1]
        assert not [line for line in first.lines[mark:] if line["event"].startswith("transfer.")]
        assert stored(s3_client, bucket, "a") == b"second"
        async with started(tmp_path / "z", files[2], listen="127.0.0.1:0") as third:
            await is_standby(third, second)
            await second.kill()
            await took_over(third)
            await third.synced("a")
            assert not third.logged("transfer.completed"), "nothing is written again"
            async with started(tmp_path / "x", files[0], listen="127.0.0.1:0") as fourth:
                await is_standby(fourth, third)
                assert await third.stop() == 0
                await took_over(fourth)
                async with started(tmp_path / "y", files[1], listen="none") as fifth:
                    await fifth.log("daemon.standby")
                    assert await fifth.stop() == 0, "a standby stops as a daemon does"
                assert await fourth.stop() == 0
    assert keys_in(s3_client, bucket) == {"a"}


async def test_two_daemons_of_one_host_and_state_directory(
    tmp_path: Path, weed: Server, bucket: str, origin: Origin, uri: str
) -> None:
    origin.publish("/a", b"a")
    file = manifest(tmp_path, weed, uri, mirrors(origin, bucket, "a"))
    async with running(tmp_path, file) as daemon:
        second = await mirrord("run", file, "--listen", "127.0.0.1:0", home=tmp_path, seconds=PATIENCE)
        assert (second.code, str(daemon.process.pid) in second.err) == (75, True), second.output


async def test_a_daemon_waits_while_postgresql_is_away(
    tmp_path: Path,
    weed: Server,
    bucket: str,
    s3_client: Any,
    origin: Origin,
    postgres: PostgresServer,
    uri: str,
) -> None:
    origin.publish("/a", b"before")
    file = manifest(tmp_path, weed, uri, mirrors(origin, bucket, "a"))
    async with running(tmp_path, file) as daemon:
        await daemon.synced("a")

        async def ready(status: int) -> bool:
            return (await daemon.ask("/readyz"))[0] == status

        postgres.stop()
        try:
            await daemon.wait_for(lambda: ready(503), what="not ready")
            origin.publish("/a", b"meanwhile")
            await daemon.wait_for(lambda: [one for one in daemon.lines if "the journal fails" in one["event"]])
            assert stored(s3_client, bucket, "a") == b"before", "nothing is written without an intent in the journal"
        finally:
            postgres.start()
        await daemon.wait_for(lambda: ready(200), what="ready again")
        await daemon.log("transfer.completed", key="a", bytes=len(b"meanwhile"))
        assert stored(s3_client, bucket, "a") == b"meanwhile"
        assert await daemon.stop() == 0
