"""`mirrord state copy` as a command, in the middle of a daemon's work: to PostgreSQL, and back to another directory."""

import asyncio
import json
from pathlib import Path
from typing import Any

import psycopg

from mirrord.journal.postgres import migrate
from mirrord.journal.sqlite import SqliteJournal
from mirrord.model import Notice, Secret
from mirrord.units import MiB
from tests.support.command import Completed, mirrord
from tests.support.daemon import PATIENCE, Daemon, running, store_section
from tests.support.killing import HeldCalls, open_uploads
from tests.support.origin import Generated, Origin
from tests.support.postgres import PostgresServer
from tests.support.proxy import StoreProxy
from tests.support.saving import mirrors
from tests.support.stored import stored
from tests.support.syncing import digest_of
from tests.support.webhook_receiver import WebhookReceiver

WHOLE = Generated(20 * MiB, seed=7)


async def test_a_daemon_goes_on_where_it_was_on_another_journal(
    tmp_path: Path,
    store_proxy: StoreProxy,
    bucket: str,
    s3_client: Any,
    origin: Origin,
    postgres: PostgresServer,
) -> None:
    uri = postgres.database().replace("postgres@", "postgres:hunter2@")
    await migrate(Secret(uri))
    for key in "abc":
        origin.publish(f"/{key}", key.encode())
    origin.publish("/large", WHOLE)
    receiver = WebhookReceiver()
    async with receiver.here():
        pass  # it has a port now, and does not listen
    notify = [{"url": receiver.url(), "events": [str(one) for one in Notice]}]
    file = tmp_path / "m.yaml"
    file.write_text(
        f"daemon: {{notify: {json.dumps(notify)}}}\n{store_section(store_proxy.server)}"
        "defaults: {upload: {part_size: 5MiB, multipart_threshold: 5MiB, concurrency: 1}}\n"
        + mirrors(origin, bucket, *"abc", "large")
    )
    first, last = tmp_path / "first", tmp_path / "last"

    async def copy(source: str | Path, target: str | Path) -> Completed:
        done = await mirrord("state", "copy", str(source), str(target), home=tmp_path, seconds=PATIENCE)
        assert "hunter2" not in done.output
        assert "Traceback" not in done.output, done.output
        return done

    held = HeldCalls("UploadPart", 3)
    held.set_on(store_proxy)
    async with running(tmp_path, str(file), "--state", str(first)) as daemon:
        for key in "abc":
            await daemon.log("transfer.completed", key=key)
        assert await held.reached()
        refused = await copy(first, uri)
        assert (refused.code, f"(pid {daemon.process.pid})" in refused.err) == (75, True), refused.output
        await daemon.kill()
    store_proxy.before = store_proxy.after = None
    held.release()
    await store_proxy.idle()
    (upload,) = open_uploads(s3_client, bucket)
    async with SqliteJournal(first / "state.db", read_only=True) as journal:
        (waiting,) = [counts.waiting for counts in (await journal.outbox.counts()).values()]
        (one,) = [transfer async for transfer in journal.unfinished()]
        assert (one.progress.upload_id, len(await journal.parts(one.id))) == (upload, 2)
    done = await copy(first, uri)
    assert done.code == 0, done.output
    assert f"copied 4 items, 1 unfinished transfer, 2 parts, {waiting} notifications" in done.out
    assert f"from {first}/state.db, which stays as it is, to postgresql://" in done.out
    with psycopg.connect(uri) as connection:
        connection.execute("UPDATE outbox SET due = 0 WHERE due IS NOT NULL")  # instead of a wait for the next attempt
    assert (await copy(first, uri)).code == 1, "the database is not empty any more"

    store_proxy.clear()
    async with receiver.here(), running(tmp_path, str(file), "--state", uri) as daemon:
        await daemon.log("transfer.completed", key="large")
        await _delivered(daemon, 4)
        assert (await copy(uri, last)).code == 75
        assert await daemon.stop() == 0
    assert (store_proxy.counts["PutObject"], store_proxy.counts["UploadPart"]) == (0, 2)
    assert store_proxy.counts["CreateMultipartUpload"] == 0
    assert digest_of(s3_client, bucket, "large") == WHOLE.sha256()
    assert stored(s3_client, bucket, "a") == b"a"
    ids = [one.event["id"] for one in receiver.received]
    assert len(ids) == len(set(ids)) > waiting
    assert [one for one in receiver.names("/a") if one == "item.synced"] == ["item.synced"]

    assert (await copy(uri, last)).code == 0
    store_proxy.clear()
    for state in (last, uri):
        done = await mirrord("sync", str(file), "--state", str(state), home=tmp_path, seconds=PATIENCE)
        assert (done.code, "0 copied" in done.output, store_proxy.writes) == (0, True, 0), done.output


async def _delivered(daemon: Daemon, synced: int) -> None:
    async def nothing_waits() -> bool:
        status = await daemon.api("status")
        return status["receivers"][0]["waiting"] == 0 and status["totals"] == {"Synced": synced}

    await daemon.wait_for(nothing_waits, PATIENCE, "an empty outbox")


async def test_what_the_command_refuses(tmp_path: Path, postgres: PostgresServer) -> None:
    uri = postgres.database()
    answers = await asyncio.gather(
        *(
            mirrord("state", "copy", *ends, home=tmp_path, seconds=PATIENCE)
            for ends in (["none", uri], ["mysql://h/d", "to"], ["from"], [uri, "to"])
        )
    )
    texts = ["there is no journal", "Invalid value for FROM", "Missing argument 'TO'", "run `mirrord migrate`"]
    assert [one.code for one in answers] == [1, 2, 2, 1]
    assert [text in one.err for text, one in zip(texts, answers, strict=True)] == [True] * 4
