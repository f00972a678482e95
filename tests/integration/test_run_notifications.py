"""Webhooks and heartbeats of `mirrord run`: what a receiver gets, refusals, reloads, and what status and page show."""

import asyncio
import json
from pathlib import Path
from typing import Any

from tests.support.command import mirrord
from tests.support.daemon import TOKEN, running, store_section
from tests.support.origin import Origin, answers
from tests.support.webhook_receiver import SECRET, Received, WebhookReceiver, verified
from tests.support.weed import Server


def manifest(home: Path, server: Server, notify: list[dict[str, Any]], entries: str) -> Path:
    file = home / "m.yaml"
    file.write_text(f"daemon: {{api_token: {TOKEN}, notify: {json.dumps(notify)}}}\n{store_section(server)}{entries}")
    return file


async def test_a_receiver_gets_signed_cloud_events_of_an_item(
    tmp_path: Path, weed: Server, bucket: str, origin: Origin
) -> None:
    origin.publish("/a", b"one")
    origin.behave("/b", answers(404))
    receiver = WebhookReceiver()
    async with receiver.here():
        hook = receiver.url("/services/PATHSECRET?token=QUERYSECRET").replace("//", "//me:PASSSECRET@")
        entries = f"mirrors: {{'{origin.url('/a')}': 's3://{bucket}/a', '{origin.url('/b')}': 's3://{bucket}/b'}}\n"
        names = ["item.synced", "item.blocked", "item.recovered", "transfer.completed"]
        notify = [{"url": hook, "events": names, "secret": SECRET, "headers": {"X-Team": "HEADERSECRET"}}]
        async with running(tmp_path, str(manifest(tmp_path, weed, notify, entries))) as daemon:
            await daemon.wait_for(lambda: len(receiver.received) >= 3)
            assert receiver.names("/a") == ["transfer.completed", "item.synced"]
            assert receiver.names("/b") == ["item.blocked"]
            origin.publish("/b", b"two")
            origin.behave("/b")
            status, _ = await daemon.ask(f"/api/v1/items/{(await daemon.items())['b']['id']}/sync", "POST", token=TOKEN)
            assert status == 202
            await daemon.wait_for(lambda: "item.recovered" in receiver.names("/b"))
            assert receiver.names("/b") == ["item.blocked", "transfer.completed", "item.synced", "item.recovered"]
            for one in receiver.received:
                _assert_well_formed(one, bucket)
            (shown,) = (await daemon.api("status"))["receivers"]
            assert (shown["name"], shown["kind"]) == (f"http://127.0.0.1:{receiver.port}/…", "webhook")
            assert (shown["waiting"], shown["dead"], shown["problem"]) == (0, 0, "")
            page = await daemon.ask("/api/v1/status")
            told = (await mirrord("status", "--config", str(tmp_path / "m.yaml"), home=tmp_path)).output
            assert f"http://127.0.0.1:{receiver.port}/…  0 waiting" in told
            _assert_no_secret(daemon.output, page[1], told, str((await daemon.ask("/metrics"))[1]))
            assert await daemon.stop() == 0
    state = b"".join(path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file())
    _assert_no_secret(state.decode("latin-1"))


def _assert_well_formed(one: Received, bucket: str) -> None:
    event = one.event
    assert verified(one.headers, one.body, SECRET)
    assert one.headers["content-type"].startswith("application/cloudevents+json")
    assert one.headers["x-team"] == "HEADERSECRET"
    assert one.headers["authorization"].startswith("Basic ")
    assert one.path == "/services/PATHSECRET?token=QUERYSECRET"
    assert event["specversion"] == "1.0"
    assert event["id"] == one.headers["webhook-id"]
    assert event["source"].endswith("/mirrord")
    assert event["subject"].startswith(f"s3://{bucket}/")
    assert event["time"].endswith("Z")
    assert event["data"]["bucket"] == bucket


def _assert_no_secret(*texts: str) -> None:
    for text in texts:
        assert not [
            word for word in ("PATHSECRET", "QUERYSECRET", "PASSSECRET", "HEADERSECRET", SECRET) if word in text
        ]


async def test_refusals_are_dead_at_once_and_later_rows_go_on(
    tmp_path: Path, weed: Server, bucket: str, origin: Origin
) -> None:
    """And 503 is sent again; the default events are those of trouble."""
    origin.behave("/a", answers(404))
    receiver, tries = WebhookReceiver(), list[str]()

    def answer(one: Received) -> int:
        tries.append(one.event["type"])
        if one.event["type"] == "item.blocked":
            return 410
        return 503 if tries.count(one.event["type"]) < 3 else 200

    receiver.answer = answer
    async with receiver.here():
        entries = f"mirrors: [{{url: '{origin.url('/a')}', to: 's3://{bucket}/a', every: 1s}}]\n"
        file = manifest(tmp_path, weed, [{"url": receiver.url()}], entries)
        async with running(tmp_path, str(file), speed=10.0) as daemon:
            await daemon.wait_for(lambda: receiver.refused)
            origin.publish("/a", b"one")
            origin.behave("/a")
            await daemon.wait_for(lambda: receiver.received)
            assert tries == ["item.blocked", "item.recovered", "item.recovered", "item.recovered"]
            assert "webhook-signature" not in receiver.received[0].headers
            (shown,) = (await daemon.api("status"))["receivers"]
            assert (shown["waiting"], shown["dead"], shown["problem"]) == (0, 1, "answered 410")
            assert [line for line in daemon.lines if "is given up after 1 attempts" in line["event"]]
            assert await daemon.stop() == 0
    told = await mirrord("status", "--config", str(file), home=tmp_path)
    assert "0 waiting, 1 given up: answered 410" in told.output


async def test_a_reload_changes_the_receivers(tmp_path: Path, weed: Server, bucket: str, origin: Origin) -> None:
    """What waits for a removed receiver is dropped. A bad manifest is announced, and no redirect is followed."""
    origin.behave("/a", answers(404))
    away, receiver = WebhookReceiver(lambda _: 302), WebhookReceiver()
    entries = f"mirrors: {{'{origin.url('/a')}': 's3://{bucket}/a'}}\n"
    async with receiver.here(), away.here():
        away.extra = {"Location": receiver.url("/followed")}
        file = manifest(tmp_path, weed, [{"url": away.url()}], entries)
        async with running(tmp_path, str(file)) as daemon:
            await daemon.wait_for(lambda: away.refused)
            (shown,) = (await daemon.api("status"))["receivers"]
            assert shown["problem"] == "answered 302, a redirect, which is not followed"
            assert shown["waiting"] == 1
            manifest(tmp_path, weed, [{"url": receiver.url(), "events": ["manifest.rejected"]}], entries)

            async def changed() -> bool:
                shown = (await daemon.api("status"))["receivers"]
                return [one["waiting"] for one in shown] == [0] and str(receiver.port) in shown[0]["name"]

            await daemon.wait_for(changed)
            file.write_text(file.read_text().replace("mirrors:", "mirorrs:"))
            await daemon.wait_for(lambda: receiver.received)
            (one,) = receiver.received
            assert (one.event["type"], one.event["subject"], one.path) == ("manifest.rejected", str(file), "/hook")
            assert "mirorrs" in one.event["data"]["problems"][0]


async def test_a_heartbeat_is_requested_while_every_store_answers(
    tmp_path: Path, weed: Server, bucket: str, origin: Origin
) -> None:
    receiver = WebhookReceiver()
    origin.publish("/a", b"one")
    entries = f"mirrors: [{{url: '{origin.url('/a')}', to: 's3://{bucket}/a', store: default}}]\n"
    async with receiver.here():
        beat = {"heartbeat": receiver.url("/ping?BEATSECRET"), "every": "1s"}
        file = manifest(tmp_path, weed, [beat], entries)
        async with running(tmp_path, str(file)) as daemon:
            await daemon.wait_for(lambda: len(receiver.beats) >= 2)
            assert set(receiver.beats) == {"/ping?BEATSECRET"}
            assert "BEATSECRET" not in daemon.output + (await daemon.ask("/api/v1/status"))[1]
            file.write_text(
                file.read_text().replace(weed.endpoint_url, "http://127.0.0.1:9").replace("/a'", "/other'", 1)
            )
            await daemon.log("item.retrying")
            count = len(receiver.beats)
            assert (await daemon.api("status"))["stores"] == {"default": False}
            await asyncio.sleep(2.2)
            assert len(receiver.beats) <= count + 1
