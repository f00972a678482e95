"""Mirrors with `urls`: each fault of the primary URL ends on the fallback, and the way back writes nothing."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from mirrord.journal.sqlite.journal import SqliteJournal
from mirrord.model import Record
from mirrord.units import MiB
from tests.support.command import mirrord
from tests.support.daemon import TOKEN, running
from tests.support.origin import (
    Asked,
    Behaviour,
    Generated,
    Origin,
    Reply,
    Text,
    answers,
    cut_after,
    drips,
    redirects,
    says,
)
from tests.support.proxy import StoreProxy
from tests.support.syncing import events, manifest, sync
from tests.support.weed import Server

BODY, WRONG = b"the right bytes", b"the other bytes"
SUM = sha256(BODY).hexdigest()
assert len(BODY) == len(WRONG)
WRITES = ("PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "CopyObject", "DeleteObject")


def entry(origin: Origin, bucket: str, **fields: Any) -> dict[str, Any]:
    urls = [origin.url("/one/x?token=secret"), origin.url("/two/x", host="localhost")]
    return {"urls": urls, "to": f"s3://{bucket}/x", **fields}


def writes(proxy: StoreProxy) -> list[str]:
    return [name for name in WRITES if proxy.counts[name]]


def state_of(home: Path) -> Path:
    (state,) = home.rglob("state.db")
    return state


async def recorded(home: Path) -> Record:
    async with SqliteJournal(state_of(home)) as journal:
        (record,) = [one async for one in journal.records()]
        return record


def larger(reply: Reply, _: Asked) -> None:
    reply.content, reply.end = Text(b"x" * 999), 999


FAULTS: dict[str, tuple[Behaviour, dict[str, Any], str]] = {
    "no answer": (cut_after(0), {}, "cut short"),
    "500": (answers(500), {}, "answered 500"),
    "503": (answers(503, Retry_After="3600"), {}, "answered 503"),
    "429": (answers(429), {}, "answered 429"),
    "404": (answers(404), {}, "answered 404"),
    "410": (answers(410), {}, "answered 410"),
    "403": (answers(403), {}, "answered 403"),
    "a login page": (
        says(Content_Type="text/html"),
        {"expect": {"content_type": "text/plain"}},
        "expected was text/plain",
    ),
    "too large": (larger, {"max_size": "100B"}, "max_size is 100 B"),
    "a refused redirect": (redirects("ftp://127.0.0.1/x"), {}, "another scheme"),
    "slow": (drips(0.2), {"http": {"min_rate": "1KiB/s", "idle_timeout": "500ms"}}, "slower than min_rate"),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_each_fault_of_the_primary_ends_on_the_fallback_and_its_return_writes_nothing(
    name: str, tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin
) -> None:
    fault, fields, reason = FAULTS[name]
    for path in ("/one/x", "/two/x"):
        origin.publish(path, BODY)
    origin.behave("/one/x", fault)
    file = manifest(tmp_path, store_proxy.server, f"mirrors: {json.dumps([entry(origin, bucket, **fields)])}\n")
    report = tmp_path / "report.json"
    done = await sync(tmp_path, file, "--report", str(report))
    assert done.code == 0, done.output
    assert s3_client.get_object(Bucket=bucket, Key="x")["Body"].read() == BODY
    fallback = origin.url("/two/x", host="localhost")
    assert (await recorded(tmp_path)).source == fallback
    assert [one["source"] for one in json.loads(report.read_text())["items"]] == [fallback]
    assert reason in done.err
    assert "secret" not in done.output

    store_proxy.clear()
    again = await sync(tmp_path, file)  # still away
    assert again.code == 0, again.output
    origin.behave("/one/x")
    back = await sync(tmp_path, file)
    assert back.code == 0, back.output
    assert (await recorded(tmp_path)).source == origin.url("/one/x?…")
    assert writes(store_proxy) == []
    asked = len(origin.asked("/two/x"))
    await sync(tmp_path, file)
    assert origin.asked("/one/x")[-1].status == 304
    assert len(origin.asked("/two/x")) == asked


async def test_bytes_that_were_not_declared_end_on_the_fallback_as_long_as_they_are_wrong(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin
) -> None:
    origin.publish("/one/x", WRONG)
    origin.publish("/two/x", BODY)
    text = f"mirrors: {json.dumps([entry(origin, bucket, checksum=f'sha256:{SUM}')])}\n"
    file = manifest(tmp_path, store_proxy.server, text)
    for _ in range(2):
        done = await sync(tmp_path, file)
        assert done.code == 0, done.output
        assert s3_client.get_object(Bucket=bucket, Key="x")["Body"].read() == BODY
        assert (await recorded(tmp_path)).source == origin.url("/two/x", host="localhost")
    origin.publish("/one/x", BODY)
    store_proxy.clear()
    assert (await sync(tmp_path, file)).code == 0
    assert (await recorded(tmp_path)).source == origin.url("/one/x?…")
    assert writes(store_proxy) == []


async def test_a_copy_that_breaks_off_starts_over_at_the_fallback(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin
) -> None:
    one, two = Generated(24 * MiB, 1), Generated(24 * MiB, 2)
    origin.publish("/one/x", one)
    origin.publish("/two/x", two)
    origin.behave("/one/x", says(ETag='"same"'), cut_after(11 * MiB))
    origin.behave("/two/x", says(ETag='"same"'))
    upload = {"part_size": "5MiB", "multipart_threshold": "5MiB"}
    http = {"connections": 1}
    text = f"mirrors: {json.dumps([entry(origin, bucket, upload=upload, http=http)])}\n"
    done = await sync(tmp_path, manifest(tmp_path, store_proxy.server, text))
    assert done.code == 0, done.output
    body = s3_client.get_object(Bucket=bucket, Key="x")["Body"].read()
    assert sha256(body).hexdigest() == two.sha256()


async def test_if_none_serves_the_message_names_each(tmp_path: Path, weed: Server, bucket: str, origin: Origin) -> None:
    file = manifest(tmp_path, weed, f"mirrors: {json.dumps([entry(origin, bucket)])}\n")
    done = await sync(tmp_path, file)
    assert done.code == 1
    (line,) = events(done, "item.blocked")
    assert line["reason"] == "SourceMissing"
    where = origin.url("/one/x?…"), origin.url("/two/x", host="localhost")
    assert line["message"] == "none of 2 URLs serves it: " + "; ".join(
        f"{one}: answered 404 Not Found" for one in where
    )


async def test_run_shows_which_url_serves(tmp_path: Path, weed: Server, bucket: str, origin: Origin) -> None:
    origin.publish("/one/x", BODY)
    origin.publish("/two/x", BODY)
    origin.behave("/one/x", answers(503))
    text = f"daemon: {{api_token: {TOKEN}}}\nmirrors: {json.dumps([entry(origin, bucket, every='300ms')])}\n"
    async with running(tmp_path, str(manifest(tmp_path, weed, text))) as daemon:

        async def served_by(source: str) -> bool:
            found = await daemon.items()
            return bool(found) and (found["x"]["state"], found["x"]["source"]) == ("Synced", source)

        fallback = origin.url("/two/x", host="localhost")
        await daemon.wait_for(lambda: served_by(fallback), what="the fallback")
        why = f"{origin.url('/one/x?…')}: answered 503 Service Unavailable"
        line = await daemon.log(f"s3://{bucket}/x: {fallback} serves it: {why}")
        assert line["level"] == "warning"
        origin.behave("/one/x")
        await daemon.wait_for(lambda: served_by(origin.url("/one/x?…")), what="the primary")
        assert len(daemon.logged("transfer.completed")) == 1


async def test_headers_go_to_each_url_and_a_list_of_digests_is_asked_for_the_primarys_name(
    tmp_path: Path, weed: Server, bucket: str, origin: Origin
) -> None:
    origin.publish("/two/x", BODY)
    origin.publish("/two/SUMS", f"{SUM}  x\n".encode())
    fallback = origin.url("/two/other-name", host="localhost")
    origin.publish("/two/other-name", BODY)
    fields = {"checksum": {"url": origin.url("/two/SUMS", host="localhost")}, "http": {"bearer": "token"}}
    one = entry(origin, bucket, **fields) | {"urls": [origin.url("/one/x"), fallback]}
    done = await sync(tmp_path, manifest(tmp_path, weed, f"mirrors: {json.dumps([one])}\n"))
    assert done.code == 0, done.output
    assert (await recorded(tmp_path)).source == fallback
    for path in ("/one/x", "/two/other-name", "/two/SUMS"):
        assert origin.asked(path)[0].headers["authorization"] == "Bearer token"


async def test_plan_shows_the_url_that_would_serve_and_all_of_them(
    tmp_path: Path, weed: Server, bucket: str, origin: Origin
) -> None:
    origin.publish("/two/x", BODY)
    file = manifest(tmp_path, weed, f"mirrors: {json.dumps([entry(origin, bucket)])}\n")
    urls = [origin.url("/one/x?…"), origin.url("/two/x", host="localhost")]
    planned = await mirrord("plan", str(file), "--json", home=tmp_path)
    (change,) = json.loads(planned.out)["changes"]
    assert (change["action"], change["source"], change["urls"]) == ("copy", urls[1], urls)
    lines = (await mirrord("plan", str(file), home=tmp_path)).out
    assert f"+ copy s3://{bucket}/x  <- {urls[1]}  (fallback 1 of 1; the object is missing; 15 B, put)" in lines
    origin.withdraw("/two/x")
    planned = await mirrord("plan", str(file), "--json", home=tmp_path)
    (left,) = json.loads(planned.out)["left"]
    assert (left["state"], left["reason"], left["source"], left["urls"]) == (
        "Blocked",
        "SourceMissing",
        urls[0],
        urls,
    )


async def test_a_fallback_that_is_behind_does_not_replace_the_object(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin
) -> None:
    origin.publish("/two/x", WRONG)
    origin.publish("/one/x", BODY)  # a second later
    file = manifest(tmp_path, store_proxy.server, f"mirrors: {json.dumps([entry(origin, bucket)])}\n")
    assert (await sync(tmp_path, file)).code == 0
    store_proxy.clear()
    origin.behave("/one/x", answers(503))
    done = await sync(tmp_path, file)
    assert (done.code, writes(store_proxy)) == (0, []), done.output
    assert len(origin.asked("/two/x")) == 1
    assert s3_client.get_object(Bucket=bucket, Key="x")["Body"].read() == BODY
    assert (await recorded(tmp_path)).source == origin.url("/one/x?…")
