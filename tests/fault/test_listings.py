"""The real `sync` with a store whose listings are false, cut, refused or late: nothing is sent twice, nothing is lost.

A folder of small files behind a proxy. A pass over unchanged files must write nothing whatever the listing says; a pass
over new files must send each once.
"""

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from mirrord.events import Event, ItemDrifted
from mirrord.programs.api import sync
from mirrord.programs.report import Report
from mirrord.reconcile.store_listings import StoreListings
from tests.support import store_faults as faults
from tests.support.proxy import Seen, StoreProxy
from tests.support.store_faults import ALWAYS, Faults
from tests.support.syncing import manifest

FILES = 20
LISTING = "ListObjectsV2"
Change = Callable[[bytes], bytes]


class Folder:
    """A folder, its bucket behind the proxy, and passes of `sync` over it."""

    def __init__(self, home: Path, proxy: StoreProxy, client: Any, bucket: str) -> None:
        self.home, self.proxy, self.client, self.bucket = home, proxy, client, bucket
        self.root = home / "inbox"
        self.root.mkdir()
        self.names = [f"{number:02}" for number in range(FILES)]
        for name in self.names:
            (self.root / name).write_text(f"file {name}")
        self.events: list[Event] = []
        self.declare()

    def declare(self, **more: str) -> None:
        fields = {"path": "inbox", "to": f"s3://{self.bucket}/in/", "settle": "0s"} | more
        body = f"folders:\n  - {json.dumps(fields)}\n"
        self.file = manifest(self.home, self.proxy.server, body)

    async def sync(self) -> Report:
        self.proxy.clear()
        self.events.clear()
        state = f"sqlite://{self.home / 'state.db'}"
        return await sync([str(self.file)], state=state, environ={}, observer=self.events.append)

    def rewrites(self, change: Change) -> None:
        """Change the bodies of all listings."""

        def rewrite(seen: Seen, headers: Any, body: bytes) -> bytes:
            return change(body) if seen.operation == LISTING else body

        self.proxy.rewrite = rewrite

    def after_listing(self, act: Callable[[], object]) -> None:
        """Do this once the store has answered a listing, before the client gets the answer."""

        async def after(seen: Seen, request: web.Request) -> None:
            if seen.operation == LISTING:
                await asyncio.to_thread(act)

        self.proxy.after = after

    def put(self, name: str, content: bytes, **metadata: str) -> None:
        self.client.put_object(Bucket=self.bucket, Key=f"in/{name}", Body=content, Metadata=metadata)

    def stored(self) -> Mapping[str, bytes]:
        keys = [one["Key"] for one in self.client.list_objects_v2(Bucket=self.bucket).get("Contents", [])]
        return {key: self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read() for key in keys}

    def is_mirrored(self) -> bool:
        files = {f"in/{path.name}": path.read_bytes() for path in self.root.iterdir()}
        return {key: body for key, body in self.stored().items() if key in files} == files

    @property
    def heads(self) -> int:
        return self.proxy.counts["HeadObject"]


@pytest.fixture
def folder(tmp_path: Path, store_proxy: StoreProxy, s3_client: Any, bucket: str) -> Folder:
    return Folder(tmp_path, store_proxy, s3_client, bucket)


def reversed_keys(body: bytes) -> bytes:
    entries = re.findall(rb"<Contents>.*?</Contents>", body, re.DOTALL)
    return body.replace(b"".join(entries), b"".join(entries[::-1]))


def truncated_without_token(body: bytes) -> bytes:
    return re.sub(rb"<IsTruncated>false</IsTruncated>", b"<IsTruncated>true</IsTruncated>", body)


def same_token(body: bytes) -> bytes:
    token = b"<NextContinuationToken>again</NextContinuationToken></ListBucketResult>"
    return truncated_without_token(body).replace(b"</ListBucketResult>", token)


def without_half(body: bytes) -> bytes:
    entries = re.findall(rb"<Contents>.*?</Contents>", body, re.DOTALL)
    for entry in entries[::2]:
        body = body.replace(entry, b"")
    return body


CHANGES: dict[str, tuple[Change, int]] = {
    "in another order": (reversed_keys, 0),
    "cut": (lambda body: body[: len(body) // 2], FILES),
    "without its token": (truncated_without_token, 0),
    "with the same token": (same_token, 0),
    "with other sizes": (lambda body: re.sub(rb"<Size>\d+<", b"<Size>1<", body), FILES),
    "with other ETags": (lambda body: re.sub(rb"<ETag>.*?</ETag>", b"<ETag>x</ETag>", body), FILES),
    "without ETags": (lambda body: re.sub(rb"<ETag>.*?</ETag>", b"", body), FILES),
    "without half of its keys": (without_half, FILES // 2),
    "empty": (lambda body: b"<ListBucketResult/>", FILES),
    "of no bytes": (lambda body: b"", FILES),
    "with sizes that are no numbers": (lambda body: re.sub(rb"<Size>\d+<", b"<Size>many<", body), FILES),
    "of another root": (lambda body: body.replace(b"ListBucketResult", b"ListAllMyBucketsResult"), 0),
    "an error": (lambda body: b"<Error><Code>InternalError</Code><Message>x</Message></Error>", FILES),
    "of keys of another prefix": (lambda body: body.replace(b"<Key>in/", b"<Key>out/"), FILES),
    "with empty entries": (lambda body: re.sub(rb"<Contents>.*?</Contents>", b"<Contents/>", body), FILES),
    "truncated, and without keys": (
        lambda body: same_token(re.sub(rb"<Contents>.*</Contents>", b"<KeyCount>0</KeyCount>", body)),
        FILES,
    ),
    "a web page": (lambda body: b"<html><body><p>Welcome</body></html>", FILES),
}


@pytest.mark.parametrize(("change", "heads"), CHANGES.values(), ids=CHANGES)
async def test_a_false_listing_costs_heads_and_no_writes(folder: Folder, change: Change, heads: int) -> None:
    assert (await folder.sync()).copied == FILES
    folder.rewrites(change)
    report = await folder.sync()
    assert (report.unchanged, report.left) == (FILES, [])
    assert (folder.proxy.writes, folder.heads) == (0, heads)
    assert not any(isinstance(event, ItemDrifted) for event in folder.events)


async def test_a_second_etag_of_listings_is_learned(folder: Folder) -> None:
    assert (await folder.sync()).copied == FILES
    folder.rewrites(lambda body: re.sub(rb"<ETag>(&#34;|&quot;|\")", rb"<ETag>\1of-listings-", body))
    for heads in (FILES, 0):
        report = await folder.sync()
        assert (report.unchanged, folder.proxy.writes, folder.heads) == (FILES, 0, heads)
    folder.put("07", b"of another program")
    assert (await folder.sync()).copied == 1
    assert folder.is_mirrored()


ANSWERED = [faults.denied, faults.internal_error]


@pytest.mark.parametrize("fault", [*ANSWERED, faults.not_sent, faults.answer_lost], ids=str)
async def test_a_refused_listing_costs_heads_and_is_not_repeated(
    folder: Folder, fault: faults.StoreFault, caplog: pytest.LogCaptureFixture
) -> None:
    assert (await folder.sync()).copied == FILES
    Faults(folder.proxy).on(LISTING, fault, times=ALWAYS)
    report = await folder.sync()
    assert (report.unchanged, report.left) == (FILES, [])
    assert (folder.proxy.writes, folder.heads) == (0, FILES)
    assert folder.proxy.counts[LISTING] == 1 or fault not in ANSWERED  # each kept connection may have been closed
    warned = [record for record in caplog.records if "s3:ListBucket" in record.message]
    assert len(warned) == (fault is faults.denied)


async def test_a_slow_listing_ends_at_its_deadline(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(StoreListings.__init__.__kwdefaults__, "page_deadline", 0.3)
    Faults(folder.proxy).on(LISTING, faults.stalls, times=ALWAYS)
    assert (await folder.sync()).copied == FILES
    assert folder.heads == FILES
    assert folder.is_mirrored()


@pytest.mark.parametrize(
    "change",
    [lambda body: b"<ListBucketResult/>", without_half, lambda body: body[: len(body) // 2]],
    ids=["empty", "half", "cut"],
)
async def test_a_listing_that_lacks_objects_overwrites_none_of_ours(folder: Folder, change: Change) -> None:
    """The journal is lost: the objects are there, and the listing does not show them."""
    await folder.sync()
    before = folder.client.head_object(Bucket=folder.bucket, Key="in/07")
    (folder.home / "state.db").unlink()
    folder.rewrites(change)
    report = await folder.sync()
    assert (report.copied, report.unchanged, report.left) == (0, FILES, [])  # adopted
    assert folder.client.head_object(Bucket=folder.bucket, Key="in/07")["LastModified"] == before["LastModified"]
    assert all(one.status == 412 for one in folder.proxy.calls if one.operation == "PutObject")


async def test_an_object_that_appears_during_the_listing_is_overwritten(folder: Folder) -> None:
    folder.after_listing(lambda: folder.put("07", b"of another program"))
    report = await folder.sync()
    assert (report.copied, report.left) == (FILES, [])
    assert folder.is_mirrored()


@pytest.mark.parametrize("overwrite", ["owned", "never"])
async def test_an_object_that_appears_during_the_listing_is_protected(folder: Folder, overwrite: str) -> None:
    folder.declare(overwrite=overwrite)
    folder.after_listing(lambda: folder.put("07", b"of another program"))
    report = await folder.sync()
    assert (report.copied, [left.outcome.reason for left in report.left]) == (FILES - 1, ["Conflict"])
    assert folder.stored()["in/07"] == b"of another program"


async def test_an_object_that_disappears_during_the_listing_is_found_by_the_next(folder: Folder) -> None:
    await folder.sync()
    folder.after_listing(lambda: folder.client.delete_object(Bucket=folder.bucket, Key="in/07"))
    assert (await folder.sync()).unchanged == FILES
    folder.proxy.after = None
    report = await folder.sync()
    assert (report.copied, report.unchanged) == (1, FILES - 1)
    assert folder.is_mirrored()


@pytest.mark.parametrize("status", [400, 501])
async def test_a_store_that_refuses_conditions_gets_heads(folder: Folder, status: int) -> None:
    async def before(seen: Seen, request: web.Request) -> web.StreamResponse | None:
        if "If-None-Match" not in request.headers:
            return None
        await request.read()
        return web.Response(status=status, body=b"<Error><Code>NotImplemented</Code></Error>")

    folder.proxy.before = before
    report = await folder.sync()
    assert (report.copied, report.left) == (FILES, [])
    assert folder.is_mirrored()
    refused = sum(one.status == status for one in folder.proxy.calls)
    assert 1 <= refused <= FILES  # those that ran at once, each once
    assert folder.heads >= FILES


@pytest.mark.parametrize("prefix", ["", "50% ü+&=?;:@/%2F+%20/q'<&>"])
async def test_odd_prefixes(folder: Folder, prefix: str) -> None:
    folder.declare(to=f"s3://{folder.bucket}/{prefix}")
    report = await folder.sync()
    assert (report.copied, folder.heads) == (FILES, 0)
    report = await folder.sync()
    assert (report.unchanged, folder.heads, folder.proxy.writes) == (FILES, 0, 0)


async def test_odd_keys(folder: Folder) -> None:
    odd = ["a b", "a+b", "50%", "%20", "ünï 漢字", "q?x=1&y=#z", "tab\there", "bell\x07", "line\nbreak", "r\r"]
    odd += ["\ufffd", "'\"<&>"]
    for name in odd:
        (folder.root / name).write_text(name)
    report = await folder.sync()
    assert (report.copied, report.left) == (FILES + len(odd), [])
    assert folder.is_mirrored()
    report = await folder.sync()
    assert (report.unchanged, report.left) == (FILES + len(odd), [])
    assert folder.proxy.writes == 0
    assert folder.heads <= 6
