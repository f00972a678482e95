"""Devices whose numbers have changed since the journal was written, as after a reboot: with the real commands.

Tests cannot mount, so they change the numbers in the journal.
"""

import hashlib
import os
import signal
import sqlite3
from pathlib import Path
from typing import Any

from mirrord.units import MiB
from tests.support.command import environment, mirrord, start
from tests.support.daemon import running, store_section
from tests.support.proxy import Seen, StoreProxy
from tests.support.stored import keys_in
from tests.support.syncing import digest_of
from tests.support.weed import Server


def renumber(home: Path, table: str, device: int, only: str = "%") -> None:
    """Set the device number of these files in the journal."""
    with sqlite3.connect(home / "state" / "mirrord" / "state.db") as journal:
        changed = journal.execute(
            f"UPDATE {table} SET revision = json_set(revision, '$.file[0]', ?) WHERE key LIKE ?", (device, only)
        )
        assert changed.rowcount > 0
    journal.close()


async def test_nothing_is_sent_or_read_again_and_objects_of_deleted_files_are_deleted(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any
) -> None:
    inbox, file = tmp_path / "inbox", tmp_path / "m.yaml"
    (inbox / "sub").mkdir(parents=True)
    for name in ("a", "b", "sub/x", "sub/y"):
        (inbox / name).write_text(name)
    rules = "settle: 0s, rescan: 300ms, delete: mirror"
    file.write_text(store_section(weed) + f"folders:\n  - {{path: inbox, to: 's3://{bucket}/', {rules}}}\n")
    assert (await mirrord("sync", str(file), home=tmp_path)).code == 0
    renumber(tmp_path, "items", 1_000_001)
    renumber(tmp_path, "items", 1_000_002, only="sub/%")

    planned = await mirrord("plan", str(file), home=tmp_path)
    assert "4 unchanged" in planned.out, planned.output
    (inbox / "b").unlink()
    for name in ("x", "y"):
        (inbox / "sub" / name).unlink()  # as if nothing were mounted at sub: its present number is unknown
    done = await mirrord("sync", str(file), home=tmp_path)
    assert "0 copied" in done.out, done.output
    assert "1 deleted" in done.out, done.output
    assert keys_in(s3_client, bucket) == {"a", "sub/x", "sub/y"}

    async with running(tmp_path, str(file)) as daemon:
        await daemon.log("folder.rescanned")
        (inbox / "sub" / "x").write_text("once more")
        (inbox / "c").write_text("c")
        await daemon.log("transfer.completed", key="sub/x")
        await daemon.log("transfer.completed", key="c")
        mark = daemon.mark
        (inbox / "c").unlink()
        await daemon.log("item.pruned", key="c", since=mark)
        assert {line["key"] for line in daemon.logged("transfer.completed")} == {"sub/x", "c"}
        assert keys_in(s3_client, bucket) == {"a", "sub/x", "sub/y"}
        assert await daemon.stop() == 0


async def test_a_killed_upload_is_continued(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any
) -> None:
    large = tmp_path / "inbox" / "large"
    large.parent.mkdir()
    large.write_bytes(os.urandom(32 * MiB))
    file = tmp_path / "m.yaml"
    options = "settle: 0s, upload: {part_size: 8MiB, concurrency: 1}"
    entry = f"folders:\n  - {{path: inbox, to: 's3://{bucket}/', {options}}}\n"
    file.write_text(store_section(store_proxy.server) + entry)
    process = await start(["sync", str(file)], environment(tmp_path), tmp_path)

    async def kill_at_the_fourth(seen: Seen, _: Any) -> None:
        if seen.operation == "UploadPart" and sum(call.operation == "UploadPart" for call in store_proxy.calls) >= 3:
            process.send_signal(signal.SIGKILL)

    store_proxy.before = kill_at_the_fourth
    _, output = await process.communicate()
    assert process.returncode == -signal.SIGKILL, output.decode()
    store_proxy.before = None
    renumber(tmp_path, "transfers", 1_000_001)
    store_proxy.clear()
    done = await mirrord("sync", str(file), home=tmp_path)
    assert done.code == 0, done.output
    sent = [call.operation for call in store_proxy.calls if call.operation in ("CreateMultipartUpload", "UploadPart")]
    assert 1 <= len(sent) <= 2, sent
    assert set(sent) == {"UploadPart"}
    assert digest_of(s3_client, bucket, "large") == hashlib.sha256(large.read_bytes()).hexdigest()
