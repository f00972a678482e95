"""A receiver of webhooks that is away under load, and mirrord killed meanwhile: every event arrives at least once, in
order for each item, and signed. Away for 2 seconds; for 60 with MIRRORD_SOAK=1."""

import asyncio
import json
import time
from hashlib import md5
from pathlib import Path
from typing import Any

from mirrord.journal.sqlite import SqliteJournal
from mirrord.model import Notice
from tests.support.daemon import Daemon, running, store_section
from tests.support.measuring import SOAK, report
from tests.support.origin import Origin
from tests.support.webhook_receiver import SECRET, WebhookReceiver, verified
from tests.support.weed import Server

AWAY = 60.0 if SOAK else 2.0
FILES = 2_000 if SOAK else 60


async def test_no_event_is_lost_while_the_receiver_is_away_and_mirrord_is_killed(
    tmp_path: Path, weed: Server, bucket: str, origin: Origin, s3_client: Any
) -> None:
    receiver = WebhookReceiver()
    async with receiver.here():
        pass  # it has a port now, and does not listen
    (tmp_path / "in").mkdir()
    notify = [{"url": receiver.url(), "events": [str(one) for one in Notice], "secret": SECRET}]
    file = tmp_path / "m.yaml"
    file.write_text(
        f"daemon: {{notify: {json.dumps(notify)}}}\n{store_section(weed)}"
        f"mirrors: [{{url: '{origin.url('/changing')}', to: 's3://{bucket}/changing', every: 300ms}}]\n"
        f"folders: [{{path: in, to: 's3://{bucket}/in/', settle: 0s}}]\n"
    )
    began, kills, versions = time.monotonic(), 0, 0
    while time.monotonic() - began < AWAY or kills < 2:
        async with running(tmp_path, str(file)) as daemon:
            versions = await _load(tmp_path / "in", origin, daemon, kills, versions)
            await daemon.kill()
            kills += 1
    async with receiver.here(), running(tmp_path, str(file)) as daemon:
        await _delivered(daemon)
        assert await daemon.stop() == 0
    stored = {one["Key"] for one in s3_client.list_objects_v2(Bucket=bucket, Prefix="in/").get("Contents", [])}
    assert len(stored) == min(1_000, FILES)
    assert all(verified(one.headers, one.body, SECRET) for one in receiver.received)
    names = {key: receiver.names(f"/{key}") for key in stored}
    assert [key for key, one in names.items() if one[-1:] != ["item.synced"]] == [], names
    # the end of a transfer that was killed before its record may be found by the object alone: then it is adopted
    assert sum(one[-2:-1] == ["transfer.completed"] for one in names.values()) > len(names) / 2
    etags = [
        one.event["data"]["etag"]
        for one in receiver.received
        if one.event["data"].get("key") == "changing" and one.event["type"] == "item.synced"
    ]
    assert list(dict.fromkeys(etags)) == [f'"{md5(str(one).encode()).hexdigest()}"' for one in range(1, versions + 1)]
    _assert_in_order(receiver)
    if SOAK:
        report("outbox", {"away_s": AWAY, "kills": kills, "events": len(receiver.received), "versions": versions})


async def _load(folder: Path, origin: Origin, daemon: Daemon, kills: int, versions: int) -> int:
    """New files, and revisions of one source, each copied; the number of revisions so far."""
    share = FILES // 2
    for number in range(kills * share, min((kills + 1) * share, FILES)):
        (folder / f"{number:04d}").write_bytes(f"content {number}".encode())
    for _ in range(2):
        since, versions = daemon.mark, versions + 1
        origin.publish("/changing", f"{versions}".encode())
        await daemon.log("transfer.completed", since=since, key="changing")
        await asyncio.sleep(AWAY / 20)
    return versions


async def _delivered(daemon: Daemon) -> None:
    async def nothing_waits() -> bool:
        status = await daemon.api("status")
        return status["receivers"][0]["waiting"] == 0 and status["totals"] == {"Synced": FILES + 1}

    await daemon.wait_for(nothing_waits, 120, "an empty outbox")


def _assert_in_order(receiver: WebhookReceiver) -> None:
    last: dict[str, str] = {}
    for one in receiver.received:
        event = one.event
        before = last.setdefault(event["subject"], "")
        assert event["sequence"] >= before, "an event arrived before an older one of its item"
        last[event["subject"]] = event["sequence"]


async def test_a_kill_between_the_reply_and_its_record_repeats_the_event(
    tmp_path: Path, weed: Server, bucket: str, origin: Origin
) -> None:
    """The same id, so that a receiver can ignore it."""
    origin.publish("/a", b"one")
    receiver = WebhookReceiver()
    async with receiver.here():
        notify = [{"url": receiver.url(), "events": ["item.synced"]}]
        file = tmp_path / "m.yaml"
        file.write_text(
            f"daemon: {{notify: {json.dumps(notify)}}}\n{store_section(weed)}"
            f"mirrors: {{'{origin.url('/a')}': 's3://{bucket}/a'}}\n"
        )
        async with running(tmp_path, str(file)) as daemon:

            def killing(_: object) -> int:
                daemon.process.kill()
                return 200

            receiver.answer = killing
            await daemon.ended()
        async with SqliteJournal(tmp_path / "state" / "mirrord" / "state.db", read_only=True) as journal:
            (counts,) = (await journal.outbox.counts()).values()
            assert counts.waiting == 1
        receiver.answer = lambda _: 200
        async with running(tmp_path, str(file)) as daemon:
            await daemon.wait_for(lambda: len(receiver.received) > 1)
    assert len({one.event["id"] for one in receiver.received}) == 1
