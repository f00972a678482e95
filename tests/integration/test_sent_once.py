"""Bytes that the store has are not sent again: touched, renamed and linked files, with the real command and a
counting proxy."""

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mirrord.model import ProviderName
from mirrord.units import MiB
from tests.support.command import mirrord
from tests.support.daemon import DEBUG
from tests.support.inbox import folder, tree
from tests.support.origin import Generated
from tests.support.proxy import StoreProxy
from tests.support.syncing import digest_of, events, manifest, sync
from tests.support.weed import Server, fresh_bucket

LARGE = Generated(20 * MiB, seed=11)
LATER = 2_000_000_000


class Passes:
    """A folder, its bucket behind the proxy, and `mirrord sync` of it."""

    def __init__(self, home: Path, proxy: StoreProxy, bucket: str, s3_client: Any, **fields: str) -> None:
        self.home, self.proxy, self.bucket, self._client = home, proxy, bucket, s3_client
        self.root = home / "inbox"
        self.root.mkdir()
        more = "".join(f", {name}: {value}" for name, value in fields.items())
        body = f"folders:\n  - {{path: inbox, to: 's3://{bucket}/', settle: 0s{more}}}\n"
        self.file = manifest(home, proxy.server, body)
        if proxy.upstream.provider is ProviderName.GENERIC:
            self.file.write_text(self.file.read_text().replace("provider: seaweedfs", "provider: generic"))

    def large(self, name: str = "large.bin") -> Path:
        with (self.root / name).open("wb") as stream:
            stream.writelines(LARGE.pieces())
        return self.root / name

    async def sync(self) -> Any:
        """One pass of `mirrord sync`; the proxy counts from its start."""
        self.proxy.clear()
        done = await sync(self.home, self.file, *DEBUG)
        assert done.code == 0, done.output
        return done

    @property
    def sent(self) -> int:
        """Body bytes sent in the last pass."""
        return self.proxy.bytes_sent

    def keys(self) -> list[str]:
        listed = self._client.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        return [one["Key"] for one in listed]

    def digest(self, key: str) -> str:
        return digest_of(self._client, self.bucket, key)


@pytest.fixture
def inbox(tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any) -> Passes:
    return Passes(tmp_path, store_proxy, bucket, s3_client)


async def test_a_touched_file_sends_nothing(inbox: Passes) -> None:
    path = inbox.large()
    await inbox.sync()
    assert inbox.sent > LARGE.size

    os.utime(path, (LATER, LATER))
    planned = await mirrord("plan", str(inbox.file), "--exit-code", home=inbox.home)
    assert planned.code == 0, planned.output
    touched = await inbox.sync()
    assert (inbox.proxy.writes, inbox.sent) == (0, 0), touched.output
    assert "1 unchanged" in touched.out
    assert not events(touched, "transfer.started")

    path.chmod(0o600)
    copy = inbox.root / ".copy.tmp"
    copy.write_bytes(path.read_bytes())
    copy.rename(path)  # as rsync and git write files
    await inbox.sync()
    assert (inbox.proxy.writes, inbox.sent) == (0, 0)

    with path.open("r+b") as stream:
        stream.seek(10 * MiB)
        stream.write(b"other bytes")
    changed = await inbox.sync()
    assert "1 copied" in changed.out, changed.output
    assert inbox.sent > LARGE.size
    assert inbox.digest("large.bin") != LARGE.sha256()


WRITES = ("PutObject", "UploadPart", "CopyObject", "DeleteObject")


def writes(inbox: Passes) -> Counter[str]:
    return Counter({name: count for name, count in inbox.proxy.counts.items() if name in WRITES})


async def test_a_renamed_file_is_copied_by_the_store(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any
) -> None:
    inbox = Passes(tmp_path, store_proxy, bucket, s3_client, delete="mirror")
    inbox.large("large.bin")
    await inbox.sync()
    (inbox.root / "large.bin").rename(inbox.root / "renamed.bin")
    done = await inbox.sync()
    assert (writes(inbox), inbox.sent) == ({"CopyObject": 1, "DeleteObject": 1}, 0), done.output
    assert inbox.keys() == ["renamed.bin"]
    assert inbox.digest("renamed.bin") == LARGE.sha256()
    (completed,) = events(done, "transfer.completed")
    assert (completed["kind"], completed["bytes"]) == ("put", 0)
    assert completed["integrity"] == "full-object checksum"
    metadata = s3_client.head_object(Bucket=bucket, Key="renamed.bin")["Metadata"]
    assert metadata["mirrord-transfer"] == completed["transfer_id"]
    assert "1 unchanged" in (await inbox.sync()).out
    assert inbox.proxy.writes == 0


async def test_a_renamed_directory_and_a_hard_link_are_copied_by_the_store(inbox: Passes) -> None:
    (inbox.root / "a").mkdir()
    for number in range(20):
        (inbox.root / "a" / f"{number:02}").write_bytes(b"%02d" % number * 5_000)
    await inbox.sync()
    (inbox.root / "a").rename(inbox.root / "b")
    os.link(inbox.root / "b" / "07", inbox.root / "linked")
    done = await inbox.sync()
    assert (writes(inbox), inbox.sent) == ({"CopyObject": 21}, 0), done.output
    for number in range(20):
        assert inbox.digest(f"b/{number:02}") == inbox.digest(f"a/{number:02}")
    assert inbox.digest("linked") == inbox.digest("a/07")


async def test_a_watched_folder_sends_nothing_for_new_names(
    tmp_path: Path, weed: Server, store_proxy: StoreProxy, bucket: str
) -> None:
    async with folder(tmp_path, weed, bucket, store_proxy) as inbox:
        inbox.write("dir/a", b"first" * 1000)
        inbox.write("dir/b", b"second" * 1000)
        await inbox.equal()
        before = tree(inbox.root)
        store_proxy.clear()
        inbox.allow_all("moved", inbox.root / "dir")
        (inbox.root / "dir").rename(inbox.root / "moved")
        await inbox.equal(kept=before)
        os.utime(inbox.root / "moved" / "a", (LATER, LATER))
        await inbox.daemon.log("folder.settled", since=inbox.daemon.mark)
        await inbox.scanned()
        assert (store_proxy.counts["CopyObject"], store_proxy.writes, store_proxy.bytes_sent) == (2, 2, 0)


async def test_an_object_that_another_program_replaced_is_not_copied(inbox: Passes, s3_client: Any) -> None:
    path = inbox.large("large.bin")
    await inbox.sync()
    s3_client.put_object(Bucket=inbox.bucket, Key="large.bin", Body=b"of a stranger")
    path.rename(inbox.root / "renamed.bin")
    done = await inbox.sync()
    assert writes(inbox)["CopyObject"] == 1, done.output
    assert inbox.sent > LARGE.size
    assert inbox.digest("renamed.bin") == LARGE.sha256()
    assert len(events(done, "transfer.started")) == len(events(done, "transfer.completed")) == 1


async def test_a_poor_store_is_asked_for_no_copy(
    tmp_path: Path, proxied: Callable[[Server], StoreProxy], rclone_serve: Server
) -> None:
    """A server-side copy would copy the new object too, and return no checksum of it."""
    client = rclone_serve.client()
    inbox = Passes(tmp_path, proxied(rclone_serve), fresh_bucket(client), client)
    path = inbox.root / "old"
    path.write_bytes(b"content")
    await inbox.sync()
    path.touch()
    await inbox.sync()
    assert inbox.proxy.writes == 0
    path.rename(inbox.root / "new")
    await inbox.sync()
    assert writes(inbox) == {"PutObject": 1}
    assert inbox.digest("new") == inbox.digest("old")
    client.close()
