"""Calls of `run` for new files of a folder, counted at a proxy: one conditional put, or one listing for many."""

from pathlib import Path
from typing import Any

from tests.support.daemon import Daemon, running
from tests.support.proxy import StoreProxy
from tests.support.syncing import manifest

MANY = 30


class Drops:
    """Files are complete when they are moved into the folder. Of its store mirrord knows that it honours conditions."""

    def __init__(self, home: Path, proxy: StoreProxy, bucket: str) -> None:
        self.home, self.proxy = home, proxy
        (home / "inbox").mkdir()
        folder = f"folders: [{{path: inbox, to: 's3://{bucket}/in/', settle: 0s}}]\n"
        self.file = manifest(home, proxy.server, folder)
        self.file.write_text(self.file.read_text().replace("provider: seaweedfs", "provider: minio"))

    async def drop(self, daemon: Daemon, name: str, *contents: str) -> tuple[int, int, int]:
        """The puts, HEADs and listings until the file with this content is uploaded; of several contents, a directory
        of files."""
        outside, since = self.home / name, daemon.mark
        if len(contents) > 1:
            outside.mkdir()
        for number, content in enumerate(contents):
            (outside / f"{number}" if len(contents) > 1 else outside).write_text(content)
        self.proxy.clear()
        outside.rename(self.home / "inbox" / name)
        await daemon.wait_for(lambda: len(daemon.logged("transfer.completed", since=since)) == len(contents))
        counts = self.proxy.counts
        return counts["PutObject"], counts["HeadObject"], counts["ListObjectsV2"]


async def test_new_files(tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any) -> None:
    drops = Drops(tmp_path, store_proxy, bucket)
    (tmp_path / "inbox" / "before").write_text("before the start")
    s3_client.put_object(Bucket=bucket, Key="in/taken", Body=b"of another program")
    async with running(tmp_path, str(drops.file)) as daemon:
        await daemon.log("transfer.completed", key="in/before")
        assert store_proxy.counts["HeadObject"] == 1, "it may be stored already, and the journal lost"
        assert await drops.drop(daemon, "one", "1") == (1, 0, 0)
        assert await drops.drop(daemon, "taken", "ours") == (2, 2, 0)
        assert await drops.drop(daemon, "many", *["x"] * MANY) == (MANY, 0, 1)
    assert s3_client.get_object(Bucket=bucket, Key="in/taken")["Body"].read() == b"ours"
