"""New files of a folder in `run`. Calls are counted at a proxy: one conditional put, or one listing for many. Those
that appear together are sent in batches: beside a URL and other files, with `after_upload`, a reload and a stop."""

from pathlib import Path
from typing import Any

from tests.support.daemon import DEBUG, Daemon, one_end_for_each_start, running
from tests.support.inbox import files_below, objects
from tests.support.killing import HeldCalls
from tests.support.preloaded import REPOSITORY
from tests.support.proxy import StoreProxy
from tests.support.syncing import manifest

MANY = 30
COMMITS = """
from mirrord.journal.sqlite import database

transact = database._transact

def counted(connection, statements):
    with open({file!r}, "a") as file:
        for name in ("begin_transfer", "save_record"):
            if count := sum(one.name == name for one in statements):
                print(name, count, file=file)
    transact(connection, statements)

database._transact = counted
"""
"""Writes down how many intents and records each commit of the journal has."""


class Drops:
    """Files are complete when they are moved into the folder. Of its store mirrord knows that it honours conditions."""

    def __init__(self, home: Path, proxy: StoreProxy, bucket: str, fields: str = "settle: 0s") -> None:
        self.home, self.proxy = home, proxy
        (home / "inbox").mkdir()
        folder = f"folders:\n  - {{path: inbox, to: 's3://{bucket}/in/', {fields}}}\n"
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


async def test_many_new_files_have_few_commits(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any
) -> None:
    drops, commits = Drops(tmp_path, store_proxy, bucket), tmp_path / "commits"
    (tmp_path / "sitecustomize.py").write_text(COMMITS.format(file=str(commits)))
    async with running(tmp_path, str(drops.file), env={"PYTHONPATH": f"{tmp_path}:{REPOSITORY}"}) as daemon:
        assert (await drops.drop(daemon, "many", *["x"] * 300))[:2] == (300, 0)
        await daemon.synced(*(f"in/many/{number}" for number in range(300)))
        assert await daemon.stop() == 0
    made = [line.split() for line in commits.read_text().splitlines()]
    begun = [int(count) for name, count in made if name == "begin_transfer"]
    assert sum(begun) == sum(int(count) for name, count in made if name == "save_record") == 300
    assert len(begun) <= 30, begun


async def test_files_leave_only_after_their_records(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any
) -> None:
    """`after_upload: delete` with a marker: while the store holds one answer, that file stays and the others leave."""
    drops = Drops(tmp_path, store_proxy, bucket, "settle: 0s, ready: _SUCCESS, after_upload: delete")
    inbox, held = tmp_path / "inbox", HeldCalls("PutObject", nth=5, answered=True)
    async with running(tmp_path, str(drops.file), *DEBUG) as daemon:
        held.set_on(store_proxy)
        (tmp_path / "day").mkdir()
        for number in range(MANY):
            (tmp_path / "day" / f"{number}").write_text(f"content {number}")
        (tmp_path / "day").rename(inbox / "day")
        (inbox / "day" / "_SUCCESS").touch()
        assert await held.reached()
        await daemon.wait_for(lambda: len(files_below(inbox)) == 2)
        assert len(objects(s3_client, bucket)) == MANY
        store_proxy.after = None
        held.release()
        await daemon.wait_for(lambda: len(files_below(inbox)) == 1)
        assert one_end_for_each_start(daemon)


async def test_a_stop_and_the_next_start_in_a_batch(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any
) -> None:
    drops, held = Drops(tmp_path, store_proxy, bucket), HeldCalls("PutObject", nth=10)
    drops.file.write_text(f"daemon: {{transfers: 4, shutdown_grace: 2s}}\n{drops.file.read_text()}")
    for number in range(MANY):
        (tmp_path / "inbox" / f"{number}").write_text("x")
    held.set_on(store_proxy)
    async with running(tmp_path, str(drops.file), *DEBUG) as daemon:
        assert await held.reached()
        assert await daemon.stop() == 0
        assert one_end_for_each_start(daemon)
    store_proxy.before = None
    held.release()
    await store_proxy.idle()
    async with running(tmp_path, str(drops.file), *DEBUG) as daemon:
        await daemon.synced(*(f"in/{number}" for number in range(MANY)))
        assert daemon.logged("transfer.completed")
    stored = [call.key for call in store_proxy.calls if call.operation == "PutObject" and call.status == 200]
    assert sorted(stored) == sorted(f"in/{number}" for number in range(MANY))  # also those whose answer came too late


async def test_a_reload_in_a_batch(tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any) -> None:
    """Another prefix for the folder while its files are sent: each file ends there, each start has one end."""
    drops, held = Drops(tmp_path, store_proxy, bucket), HeldCalls("PutObject", nth=10)
    for number in range(MANY):
        (tmp_path / "inbox" / f"{number}").write_text("x")
    held.set_on(store_proxy)

    async def all_sent() -> bool:
        states = await daemon.states()
        return all(states.get(f"other/{number}") == "Synced" for number in range(MANY))

    async with running(tmp_path, str(drops.file), *DEBUG) as daemon:
        assert await held.reached()
        drops.file.write_text(drops.file.read_text().replace("/in/", "/other/"))
        await daemon.wait_for(lambda: daemon.logged("transfer.interrupted"))
        store_proxy.before = None
        held.release()
        await daemon.wait_for(all_sent)
        assert set((await daemon.states()).values()) == {"Synced"}
        assert one_end_for_each_start(daemon)


async def test_a_batch_delays_neither_a_url_nor_a_file_of_another_folder(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any
) -> None:
    """The store holds puts of the first folder, of more batches than may run: the others go on."""
    drops, held = Drops(tmp_path, store_proxy, bucket), HeldCalls("PutObject", count=3, below="in/")
    (tmp_path / "second").mkdir()
    (tmp_path / "page").write_text("of another entry")
    text = drops.file.read_text()
    text += f"  - {{path: second, to: 's3://{bucket}/second/', settle: 0s}}\n"
    text += f"mirrors: [{{url: 'file://{tmp_path}/page', to: 's3://{bucket}/page', every: 1h}}]\n"
    drops.file.write_text(text)
    held.set_on(store_proxy)
    for number in range(MANY):
        (tmp_path / "inbox" / f"{number}").write_text("x")
    async with running(tmp_path, str(drops.file)) as daemon:
        assert await held.reached()
        (tmp_path / "second" / "one").write_text("1")
        await daemon.log("transfer.completed", key="second/one")
        await daemon.log("transfer.completed", key="page")
        store_proxy.before = None
        held.release()
