"""Objects as other tools upload them, in a real store, are adopted: no byte is sent. Calls are counted at a proxy.

`tests/bench/test_adoption_scale.py` does the same with the real tools and 10,000 objects.
"""

import json
import os
from base64 import b64encode
from collections import Counter
from hashlib import md5, sha256
from pathlib import Path
from typing import Any

import pytest
from boto3.exceptions import S3UploadFailedError
from boto3.s3.transfer import TransferConfig

import mirrord as package
from mirrord.units import MiB
from tests.support.command import mirrord
from tests.support.daemon import running
from tests.support.origin import Origin, says
from tests.support.proxy import StoreProxy
from tests.support.syncing import manifest, sync
from tests.support.weed import Server

WRITES = ("PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "CopyObject", "DeleteObject")
PART_SIZES = (5 * MiB, 8 * MiB, 16 * MiB)
LENGTH = 17 * MiB + 1


def writes(proxy: StoreProxy) -> Counter[str]:
    return Counter({name: count for name, count in proxy.counts.items() if name in WRITES})


def sent(proxy: StoreProxy) -> int:
    """Body bytes of all calls."""
    return sum(call.sent for call in proxy.calls)


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def as_a_tool_does(s3_client: Any, bucket: str, path: Path, key: str, part_size: int) -> None:
    """Upload a file in parts of this size, if it is longer. As tools do, repeat what a busy store refuses."""
    config = TransferConfig(multipart_threshold=part_size, multipart_chunksize=part_size, use_threads=False)
    for again in (True, True, False):
        try:
            s3_client.upload_file(str(path), bucket, key, Config=config)
            return
        except S3UploadFailedError:
            if not again:
                raise


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    return inbox


def folder(bucket: str, options: str = "") -> str:
    return f"folders:\n  - {{path: inbox, to: 's3://{bucket}/in/', settle: 0s{options}}}\n"


async def test_what_tools_uploaded_is_adopted_and_a_flipped_byte_is_copied(
    tmp_path: Path, inbox: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any
) -> None:
    for number in range(30):
        (inbox / f"small-{number}").write_bytes(bytes([number]) * (number * 997 + 1))
    for number, part_size in enumerate(PART_SIZES):
        (inbox / f"large-{number}").write_bytes(bytes([number]) * LENGTH)
        as_a_tool_does(s3_client, bucket, inbox / f"large-{number}", f"in/large-{number}", part_size)
    for number in range(30):
        as_a_tool_does(s3_client, bucket, inbox / f"small-{number}", f"in/small-{number}", 8 * MiB)
    file = manifest(tmp_path, store_proxy.server, folder(bucket))
    flip(inbox / "small-7", 1234)
    flip(inbox / "large-1", LENGTH - 1)

    planned = await mirrord("plan", str(file), home=tmp_path)
    assert f"= adopt s3://{bucket}/in/large-2" in planned.out, planned.output
    assert "2 to copy" in planned.out
    assert "31 unchanged (31 new to the journal)" in planned.out
    assert writes(store_proxy) == {}

    store_proxy.clear()
    done = await sync(tmp_path, file)
    assert "2 copied" in done.out, done.output
    assert writes(store_proxy)["PutObject"] == 1
    assert writes(store_proxy)["CreateMultipartUpload"] == 1
    for name in ("small-7", "large-1"):
        assert s3_client.get_object(Bucket=bucket, Key=f"in/{name}")["Body"].read() == (inbox / name).read_bytes()

    store_proxy.clear()
    assert "0 copied" in (await sync(tmp_path, file)).out
    assert (writes(store_proxy), sent(store_proxy)) == ({}, 0)

    other = tmp_path / "other"  # another journal: adopted again
    store_proxy.clear()
    done = await sync(tmp_path, file, "--state", str(other))
    assert "0 copied (0 B), 33 unchanged" in done.out, done.output
    assert (writes(store_proxy), sent(store_proxy)) == ({}, 0)


async def test_adoption_can_be_turned_off(
    tmp_path: Path, inbox: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any
) -> None:
    (inbox / "a").write_bytes(b"equal")
    s3_client.put_object(Bucket=bucket, Key="in/a", Body=b"equal")
    file = manifest(tmp_path, store_proxy.server, folder(bucket, ", adopt: false"))
    assert "1 copied" in (await sync(tmp_path, file)).out


@pytest.mark.parametrize("overwrite", ["owned", "never"])
async def test_an_equal_object_that_must_not_be_written_is_in_sync(
    tmp_path: Path, inbox: Path, weed: Server, bucket: str, s3_client: Any, overwrite: str
) -> None:
    for name in ("equal", "other"):
        (inbox / name).write_bytes(b"equal")
        s3_client.put_object(Bucket=bucket, Key=f"in/{name}", Body=name.encode())
    file = manifest(tmp_path, weed, folder(bucket, f", overwrite: {overwrite}"))
    done = await sync(tmp_path, file)
    assert done.code == 1
    assert "0 copied (0 B), 1 unchanged, 1 Blocked" in done.out, done.output
    assert s3_client.get_object(Bucket=bucket, Key="in/other")["Body"].read() == b"other"


async def test_an_adopted_object_is_never_deleted_and_its_file_stays(
    tmp_path: Path, inbox: Path, weed: Server, bucket: str, s3_client: Any
) -> None:
    (inbox / "a").write_bytes(b"equal")
    (inbox / "b").write_bytes(b"stays")
    s3_client.put_object(Bucket=bucket, Key="in/a", Body=b"equal")
    file = manifest(tmp_path, weed, folder(bucket, ", delete: mirror"))
    assert (await sync(tmp_path, file)).code == 0
    (inbox / "a").unlink()
    await sync(tmp_path, file)
    assert s3_client.get_object(Bucket=bucket, Key="in/a")["Body"].read() == b"equal"

    (inbox / "a").write_bytes(b"equal")
    file = manifest(tmp_path, weed, folder(bucket, ", after_upload: delete"))
    shown = await mirrord("plan", str(file), "--state", str(tmp_path / "other"), home=tmp_path)
    signs = [line.split()[:2] for line in shown.out.splitlines()[:-1]]
    assert signs == [["=", "adopt"], ["=", "adopt"], ["-", "delete"]]
    assert f"- delete file://{inbox}/b" in shown.out, "only b is proven to be mirrord's own copy"
    done = await sync(tmp_path, file, "--state", str(tmp_path / "other"))
    assert os.listdir(inbox) == ["a"], "b was written by mirrord, and its id is proven"
    assert "another tool uploaded it" in done.err, done.output


async def test_a_plan_reads_a_bounded_number_of_bytes(
    tmp_path: Path, inbox: Path, weed: Server, bucket: str, s3_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirrord.programs.plan.READ_TO_ADOPT", 4)
    for body in ("long!", "abc"):
        (inbox / body).write_text(body)
        s3_client.put_object(Bucket=bucket, Key=f"in/{body}", Body=body.encode())
    file = manifest(tmp_path, weed, folder(bucket))
    found = await package.plan([str(file)], state=str(tmp_path / "state"), environ={})
    assert [one.item.destination.key for one in found.adoptions] == ["in/abc"]
    (copy,) = found.copies
    assert (copy.item.destination.key, copy.size) == ("in/long!", 5)
    assert "adopted instead if its bytes are the same" in copy.why
    report = await package.sync([str(file)], state=str(tmp_path / "state"), environ={})
    assert (report.copied, report.unchanged) == (0, 2)


async def test_options_count_only_when_they_change(
    tmp_path: Path, inbox: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any
) -> None:
    (inbox / "a").write_bytes(b"equal")
    s3_client.put_object(Bucket=bucket, Key="in/a", Body=b"equal", CacheControl="no-store")
    file = manifest(tmp_path, store_proxy.server, folder(bucket, ", object: {cache_control: max-age=1}"))
    await sync(tmp_path, file)
    assert writes(store_proxy) == {}
    file = manifest(tmp_path, store_proxy.server, folder(bucket, ", object: {cache_control: max-age=2}"))
    assert "0 copied (0 B), 1 rewritten with new options" in (await sync(tmp_path, file)).out
    assert s3_client.head_object(Bucket=bucket, Key="in/a")["CacheControl"] == "max-age=2"


@pytest.mark.parametrize("count", [1, 5])
async def test_a_new_file_of_run_is_adopted_after_its_conditional_put_was_refused(
    tmp_path: Path, inbox: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, count: int
) -> None:
    """Also in a batch. Its key is believed to be free, because it has just appeared."""
    keys = [f"in/day/{number}" for number in range(count)]
    for key in keys:
        s3_client.put_object(Bucket=bucket, Key=key, Body=key.encode())
    file = manifest(tmp_path, store_proxy.server, folder(bucket))
    async with running(tmp_path, str(file)) as daemon:
        await daemon.log("daemon.ready")
        (tmp_path / "day").mkdir()
        for number, key in enumerate(keys):
            (tmp_path / "day" / str(number)).write_text(key if number or count == 1 else key.upper())
        (tmp_path / "day").rename(inbox / "day")
        await daemon.synced(*keys)
    puts = [(call.key, call.status) for call in store_proxy.calls if call.operation == "PutObject"]
    written = [] if count == 1 else [(keys[0], 200)]  # the one with other bytes
    assert sorted(puts) == sorted([*written, *((key, 412) for key in keys)])


async def test_an_object_as_a_source(
    tmp_path: Path, inbox: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any
) -> None:
    (inbox / "a").write_bytes(b"a" * 6 * MiB)
    for key, part_size in (("src/a", 5), ("dst/a", 5), ("src/b", 8), ("dst/b", 8)):
        as_a_tool_does(s3_client, bucket, inbox / "a", key, part_size * MiB)
    s3_client.put_object(Bucket=bucket, Key="src/c", Body=b"source")
    s3_client.put_object(Bucket=bucket, Key="dst/c", Body=b"target")
    mirrors = "".join(f"  s3://{bucket}/src/{name}: s3://{bucket}/dst/{name}\n" for name in "abc")
    file = manifest(tmp_path, store_proxy.server, f"mirrors:\n{mirrors}")
    assert "1 copied" in (await sync(tmp_path, file)).out
    assert {call.key for call in store_proxy.calls if call.operation in WRITES} == {"dst/c"}


# ── URLs ──────────────────────────────────────────────────────────────────────────────────────────
BODY = b"b" * 100_000
MD5_HEX, MD5_64 = md5(BODY).hexdigest(), b64encode(md5(BODY).digest()).decode()
SHA_64 = b64encode(sha256(BODY).digest()).decode()
STATED = {
    "repr": {"Repr_Digest": f"sha-256=:{SHA_64}:, md5=:{MD5_64}:"},
    "digest": {"Digest": f"MD5={MD5_64},SHA-256={SHA_64}"},
    "content": {"Content_MD5": MD5_64},
    "wrong": {"Content_MD5": b64encode(md5(b"other").digest()).decode()},
    "weak": {"ETag": f'W/"{MD5_HEX}"'},
    "plain": {},
}


async def test_a_url_is_adopted_by_what_is_declared_or_stated(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin
) -> None:
    urls = {name: origin.publish(f"/{name}", BODY) for name in STATED}
    for name, headers in STATED.items():
        origin.behave(f"/{name}", says(**headers))
    row = f"{origin.publish('/row', BODY)}\trow\t{len(BODY)}\t{MD5_HEX}"
    (tmp_path / "urls.tsv").write_text(f"url\tkey\tsize\tmd5\n{row}\n")
    for key in ("row", *urls):
        s3_client.put_object(Bucket=bucket, Key=f"in/{key}", Body=BODY)
    entries = "".join(f"  - {{url: '{url}', to: 's3://{bucket}/in/{name}'}}\n" for name, url in urls.items())
    text = f"mirrors:\n  - {{list: urls.tsv, to: 's3://{bucket}/in/'}}\n{entries}"
    file = manifest(tmp_path, store_proxy.server, text)
    shown = await mirrord("plan", str(file), "--json", home=tmp_path)
    changes = {one["destination"].rpartition("/")[2]: one["action"] for one in json.loads(shown.out)["changes"]}
    adopted, copied = {"row", "repr", "digest", "content"}, {"wrong", "weak", "plain"}
    assert changes == dict.fromkeys(adopted, "adopt") | dict.fromkeys(copied, "copy"), shown.output
    done = await sync(tmp_path, file)
    assert "3 copied" in done.out, done.output
    assert {call.key for call in store_proxy.calls if call.operation in WRITES} == {f"in/{name}" for name in copied}
    store_proxy.clear()
    assert "0 copied" in (await sync(tmp_path, file)).out
    assert writes(store_proxy) == {}


async def test_an_adopted_object_is_not_pruned(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin
) -> None:
    entries = []
    for name in ("kept", "left"):
        url = origin.publish(f"/{name}", BODY)
        origin.behave(f"/{name}", says(Content_MD5=MD5_64))
        entries.append({"url": url, "to": f"s3://{bucket}/{name}", "prune": True})
        s3_client.put_object(Bucket=bucket, Key=name, Body=BODY)
    file = manifest(tmp_path, store_proxy.server, f"mirrors: {json.dumps(entries)}\n")
    assert "0 copied" in (await sync(tmp_path, file)).out
    manifest(tmp_path, store_proxy.server, f"mirrors: {json.dumps(entries[:1])}\n")
    assert (await sync(tmp_path, file)).code == 0
    assert writes(store_proxy) == {}


@pytest.mark.parametrize("honest", [True, False])
async def test_an_etag_counts_as_md5_after_some_bodies_of_its_host_were_compared(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin, honest: bool
) -> None:
    """The last body is too large to be read for this."""
    bodies = {f"small-{number}": bytes([number]) * 5000 for number in range(5)} | {"large": b"l" * (17 * MiB)}
    entries = ""
    for name, body in bodies.items():
        url = origin.publish(f"/{name}", body)
        origin.behave(f"/{name}", says(ETag=f'"{(md5 if honest else _other)(body).hexdigest()}"'))
        entries += f"  - {{url: '{url}', to: 's3://{bucket}/in/{name}'}}\n"
        s3_client.put_object(Bucket=bucket, Key=f"in/{name}", Body=body)
    file = manifest(tmp_path, store_proxy.server, f"mirrors:\n{entries}")
    done = await sync(tmp_path, file, "--transfers", "1")
    copied = {call.key for call in store_proxy.calls if call.operation in WRITES}
    if honest:
        assert copied == set(), done.output
        assert origin.body_bytes() < 17 * MiB
    else:  # only the first body was read: it is adopted by its bytes
        assert copied == {f"in/{name}" for name in bodies if name != "small-0"}, done.output


def _other(body: bytes) -> Any:
    return md5(b"salt" + body)
