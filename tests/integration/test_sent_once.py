"""What the store has is not sent again: files that were touched, through the real command and a counting proxy."""

import os
from pathlib import Path
from typing import Any

import pytest

from mirrord.units import MiB
from tests.integration.test_sync import digest_of, events, manifest, sync
from tests.support.origin import Generated
from tests.support.proxy import StoreProxy

LARGE = Generated(20 * MiB, seed=11)
LATER = 2_000_000_000


class Inbox:
    """A folder, the bucket that it goes to through the proxy, and `mirrord sync` over it."""

    def __init__(self, home: Path, proxy: StoreProxy, bucket: str, s3_client: Any, **fields: str) -> None:
        self.home, self.proxy, self.bucket, self._client = home, proxy, bucket, s3_client
        self.root = home / "inbox"
        self.root.mkdir()
        more = "".join(f", {name}: {value}" for name, value in fields.items())
        body = f"folders:\n  - {{path: inbox, to: 's3://{bucket}/', settle: 0s{more}}}\n"
        self._file = manifest(home, proxy.server, body)

    def large(self, name: str = "large.bin") -> Path:
        with (self.root / name).open("wb") as stream:
            stream.writelines(LARGE.pieces())
        return self.root / name

    async def sync(self) -> Any:
        """One pass; what went to the store is counted from its beginning."""
        self.proxy.clear()
        done = await sync(self.home, self._file)
        assert done.code == 0, done.said
        return done

    def digest(self, key: str) -> str:
        return digest_of(self._client, self.bucket, key)


@pytest.fixture
def inbox(tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any) -> Inbox:
    return Inbox(tmp_path, store_proxy, bucket, s3_client)


async def test_a_touched_file_sends_nothing(inbox: Inbox) -> None:
    path = inbox.large()
    await inbox.sync()
    assert inbox.proxy.bytes_sent > LARGE.size

    os.utime(path, (LATER, LATER))
    touched = await inbox.sync()
    assert (inbox.proxy.writes, inbox.proxy.bytes_sent) == (0, 0), touched.said
    assert "1 unchanged" in touched.out
    assert not events(touched, "transfer.started")

    path.chmod(0o600)
    copy = inbox.root / ".copy.tmp"
    copy.write_bytes(path.read_bytes())
    copy.rename(path)  # as rsync and git do
    await inbox.sync()
    assert (inbox.proxy.writes, inbox.proxy.bytes_sent) == (0, 0)

    with path.open("r+b") as stream:
        stream.seek(10 * MiB)
        stream.write(b"other bytes")
    changed = await inbox.sync()
    assert "1 copied" in changed.out, changed.said
    assert inbox.proxy.bytes_sent > LARGE.size
    assert inbox.digest("large.bin") != LARGE.sha256()
