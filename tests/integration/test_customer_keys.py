"""Keys of the customer (SSE-C) by the real command: each command that needs the key of an object has it."""

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.command import mirrord
from tests.support.customer_keys import FIRST, SECOND, with_key
from tests.support.killing import HeldCalls, kill_at, open_uploads
from tests.support.origin import Generated, Origin
from tests.support.proxy import StoreProxy
from tests.support.store_doubles import Quirks, ignoring
from tests.support.syncing import events, manifest, sync, with_store_field

LARGE = Generated(17 << 20, seed=3)


class Subject:
    """Two mirrors, one of them in parts."""

    def __init__(self, home: Path, proxy: StoreProxy, bucket: str, client: Any, origin: Origin) -> None:
        self.home, self.proxy, self.bucket, self._client, self._origin = home, proxy, bucket, client, origin
        small, large = origin.publish("/small", b"small"), origin.publish("/large.bin", LARGE)
        self._mirrors = {"small": small, "large": large}

    def file(self, key: str | None, *keys: str, more: str = "", without: str = "") -> Path:
        """The manifest with these keys of the store, named k0, k1, …; `key`: the one of all objects."""
        wanted = f"encryption: {{mode: SSE-C, customer_key: {key}}}" if key else ""
        entries = {url: f"s3://{self.bucket}/{name}" for name, url in self._mirrors.items() if name != without}
        body = f"defaults: {{prune: {{max: 100%}}, object: {{{wanted}}}{more}}}\nmirrors: {json.dumps(entries)}\n"
        made = manifest(self.home, self.proxy.server, body)
        declared = json.dumps({f"k{number}": one for number, one in enumerate(keys)})
        with_store_field(made, f"customer_keys: {declared}")
        return made

    def content(self, name: str, key: str | None) -> bytes:
        given = with_key(key) if key else {}
        found: bytes = self._client.get_object(Bucket=self.bucket, Key=name, **given)["Body"].read()
        return found

    def has_objects(self, key: str | None) -> bool:
        return self.content("small", key) == b"small" and self.content("large", key) == b"".join(LARGE.pieces())

    async def all_is_well(self, file: Path) -> None:
        """Nothing is due, and the bytes are right."""
        self.proxy.clear()
        done = await sync(self.home, file)
        assert "2 unchanged" in done.out, done.output
        checked = await mirrord("verify", str(file), home=self.home)
        assert (checked.code, self.proxy.writes) == (0, 0), checked.output


@pytest.fixture
def subject(tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin) -> Subject:
    return Subject(tmp_path, store_proxy, bucket, s3_client, origin)


async def test_objects_get_the_key_another_one_and_none(subject: Subject, origin: Origin) -> None:
    """Each edit is a copy that the store makes; the former key stays declared until the copies are made."""
    done = await sync(subject.home, subject.file("k0", FIRST))
    assert done.code == 0, done.output
    with pytest.raises(ClientError):
        subject.content("small", None)
    assert subject.has_objects(FIRST)
    await subject.all_is_well(subject.file("k0", FIRST))

    sent = origin.body_bytes()
    plan = await mirrord("plan", str(subject.file("k1", FIRST, SECOND)), home=subject.home)
    assert "2 to rewrite" in plan.out, plan.output
    for name, key in (("k1", SECOND), (None, None), ("k0", FIRST)):
        file = subject.file(name, FIRST, SECOND)
        done = await sync(subject.home, file)
        assert done.code == 0, done.output
        assert "2 rewritten with new options" in done.output
        assert subject.has_objects(key)
    await subject.all_is_well(file)
    assert origin.body_bytes() == sent


async def test_objects_whose_key_is_not_declared_any_more_are_blocked_until_it_is(subject: Subject) -> None:
    assert (await sync(subject.home, subject.file("k0", FIRST))).code == 0
    for file in (subject.file("k0", SECOND), subject.file(None)):
        subject.proxy.clear()
        done = await sync(subject.home, file)
        blocked = events(done, "item.blocked")
        assert (done.code, [one["reason"] for one in blocked]) == (1, ["Conflict"] * 2), done.output
        assert "add its key to the customer_keys of the store, or delete it" in blocked[0]["message"]
        assert subject.proxy.writes == 0
        checked = await mirrord("verify", str(file), home=subject.home)
        assert checked.code == 1
        assert "it is not encrypted with the key (SSE-C) that it was written with" in checked.output
    assert (await sync(subject.home, subject.file("k1", FIRST, SECOND))).code == 0
    assert subject.has_objects(SECOND)


async def test_a_lost_journal_costs_one_rewrite_at_most(subject: Subject) -> None:
    """With the same key the objects are adopted; those with another declared key are sent again."""
    assert (await sync(subject.home, subject.file("k0", FIRST))).code == 0
    for state in (subject.home / "state").rglob("state.db*"):
        state.unlink()
    await subject.all_is_well(subject.file("k0", FIRST))
    for state in (subject.home / "state").rglob("state.db*"):
        state.unlink()
    done = await sync(subject.home, subject.file("k1", FIRST, SECOND, more=", overwrite: owned"))
    assert done.code == 0, done.output
    assert subject.has_objects(SECOND)


@pytest.mark.parametrize("declared", [True, False])
async def test_an_object_that_leaves_is_deleted_if_its_key_is_declared(
    subject: Subject, s3_client: Any, declared: bool
) -> None:
    assert (await sync(subject.home, subject.file("k0", FIRST))).code == 0
    keys = [FIRST, SECOND] if declared else [SECOND]
    done = await sync(subject.home, subject.file("k0" if declared else None, *keys, without="large"))
    left = [one["Key"] for one in s3_client.list_objects_v2(Bucket=subject.bucket)["Contents"]]
    assert left == (["small"] if declared else ["large", "small"]), done.output
    if not declared:
        assert "cannot be read with the store's customer_keys: it stays" in done.output


async def test_a_version_is_restored_with_its_key_and_a_link_is_refused(subject: Subject, s3_client: Any) -> None:
    versioning = {"Status": "Enabled"}
    s3_client.put_bucket_versioning(Bucket=subject.bucket, VersioningConfiguration=versioning)
    file = subject.file("k0", FIRST)
    assert (await sync(subject.home, file)).code == 0
    first = s3_client.head_object(Bucket=subject.bucket, Key="small", **with_key(FIRST))["VersionId"]
    subject._origin.publish("/small", b"another")
    assert (await sync(subject.home, file)).code == 0
    at = f"s3://{subject.bucket}/small"
    shown = await mirrord("history", at, "--config", str(file), "--json", home=subject.home)
    assert first in shown.out, shown.output
    done = await mirrord("restore", at, "--version", first, "--config", str(file), home=subject.home)
    assert done.code == 0, done.output
    assert subject.content("small", FIRST) == b"small"
    link = await mirrord("link", at, "--config", str(file), home=subject.home)
    assert (link.code, link.out) == (1, "")
    assert "(SSE-C), which a link cannot contain" in link.err


async def test_versions_of_before_the_key_or_with_a_former_one_are_shown_and_restored(
    subject: Subject, s3_client: Any
) -> None:
    """Each version keeps the key that it was written with; the history of the item names the keys."""
    versioning = {"Status": "Enabled"}
    s3_client.put_bucket_versioning(Bucket=subject.bucket, VersioningConfiguration=versioning)
    for name in (None, "k0", "k1"):
        file = subject.file(name, FIRST, SECOND, without="large")
        assert (await sync(subject.home, file)).code == 0
    listed = s3_client.list_object_versions(Bucket=subject.bucket)["Versions"]
    versions = [one["VersionId"] for one in listed]
    at = f"s3://{subject.bucket}/small"
    shown = await mirrord("history", at, "--config", str(file), "--json", home=subject.home)
    entries = json.loads(shown.out)["entries"]
    assert {one["version_id"] for one in entries} == set(versions), shown.output
    for version in versions[1:]:
        done = await mirrord("restore", at, "--version", version, "--config", str(file), home=subject.home)
        assert done.code == 0, done.output
        assert subject.content("small", SECOND) == b"small"
    without = subject.file("k1", SECOND, without="large")
    done = await mirrord("restore", at, "--version", versions[1], "--config", str(without), home=subject.home)
    assert (done.code, "add it to its customer_keys" in done.err) == (1, True), done.output


@pytest.mark.parametrize(
    ("operation", "nth", "answered"),
    [("UploadPart", 2, True), ("CompleteMultipartUpload", 1, False), ("CompleteMultipartUpload", 1, True)],
)
async def test_killed_in_mid_upload_it_is_resumed_with_the_key(
    subject: Subject, s3_client: Any, operation: str, nth: int, answered: bool
) -> None:
    file = subject.file("k0", FIRST, more=", upload: {part_size: 5MiB, concurrency: 1}", without="small")
    assert await kill_at(HeldCalls(operation, nth, answered=answered), subject.proxy, subject.home, file)
    before = subject.proxy.counts["UploadPart"]
    done = await sync(subject.home, file)
    assert done.code == 0, done.output
    assert subject.content("large", FIRST) == b"".join(LARGE.pieces())
    assert subject.proxy.counts["CreateMultipartUpload"] == 1
    assert subject.proxy.counts["UploadPart"] - before == (3 if operation == "UploadPart" else 0)
    assert open_uploads(s3_client, subject.bucket) == []


async def test_after_a_kill_an_upload_with_another_key_is_not_resumed(subject: Subject, s3_client: Any) -> None:
    """Its key is not declared any more, and the object of before is another one's."""
    more = ", upload: {part_size: 5MiB, concurrency: 1}"
    file = subject.file("k0", FIRST, more=more, without="small")
    assert await kill_at(HeldCalls("UploadPart", 2, answered=True), subject.proxy, subject.home, file)
    done = await sync(subject.home, subject.file("k0", SECOND, more=more, without="small"))
    assert done.code == 0, done.output
    assert subject.content("large", SECOND) == b"".join(LARGE.pieces())
    assert len(events(done, "upload.aborted")) == 1
    assert open_uploads(s3_client, subject.bucket) == []


async def test_where_the_store_does_not_copy_encrypted_parts_the_bytes_are_sent(subject: Subject) -> None:
    """`checksum: md5` makes a rewrite a copy of parts, and SeaweedFS 4.48 does not copy encrypted ones."""

    def file(name: str) -> Path:
        made = subject.file(name, FIRST, SECOND, more=", upload: {part_size: 5MiB}", without="small")
        with_store_field(made, "checksum: md5")
        return made

    assert (await sync(subject.home, file("k0"))).code == 0
    subject.proxy.clear()
    done = await sync(subject.home, file("k1"))
    assert done.code == 0, done.output
    assert (subject.proxy.counts["UploadPart"], subject.proxy.counts["CopyObject"]) == (4, 0)
    assert subject.content("large", SECOND) == b"".join(LARGE.pieces())
    subject.proxy.clear()
    assert (await sync(subject.home, file("k1"))).code == 0
    assert subject.proxy.writes == 0


async def test_a_store_that_ignores_the_key_is_named_and_the_objects_are_not_written_again(subject: Subject) -> None:
    Quirks(strips=[ignoring("x-amz-server-side-encryption-customer-.*")]).install(subject.proxy)
    file = subject.file("k0", FIRST)
    done = await sync(subject.home, file)
    assert done.code == 0, done.output
    assert "shows no SSE-C where it was asked: its objects are not encrypted by the key (by put" in done.err
    assert "(by multipart" in done.err
    assert subject.has_objects(None)
    subject.proxy.clear()
    assert "2 unchanged" in (await sync(subject.home, file)).out
    assert subject.proxy.writes == 0
    status = await mirrord("status", "--config", str(file), home=subject.home)
    assert "shows no SSE-C where it was asked" in status.out
