"""A folder's key with `{date}`: a path keeps its first date, in `sync`, `plan` and `run`."""

import os
from pathlib import Path
from typing import Any

from tests.support.command import Completed, mirrord
from tests.support.daemon import DEBUG, running, store_section
from tests.support.stored import keys_in, stored
from tests.support.weed import Server

DAY = 86_400
FIRST = 1_700_000_000  # 2023-11-14


def write(path: Path, text: str, day: int) -> None:
    """Write a file with this text and the modification time of this day; it appears by a rename with both."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}")
    fresh.write_text(text)
    os.utime(fresh, (FIRST + day * DAY,) * 2)
    fresh.rename(path)


async def test_a_file_that_is_edited_another_day_overwrites_its_object(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any
) -> None:
    inbox, file = tmp_path / "inbox", tmp_path / "m.yaml"
    rules = "settle: 0s, rescan: 300ms, delete: mirror, key: '{date:%Y/%m/%d}/{path}'"
    file.write_text(store_section(weed) + f"folders:\n  - {{path: inbox, to: 's3://{bucket}/in/', {rules}}}\n")

    async def done(*arguments: str) -> Completed:
        completed = await mirrord(*arguments, str(file), home=tmp_path)
        assert completed.code == 0, completed.output
        return completed

    write(inbox / "a", "one", day=0)
    write(inbox / "sub/b", "other", day=1)
    await done("sync")
    assert keys_in(s3_client, bucket) == {"in/2023/11/14/a", "in/2023/11/15/sub/b"}

    write(inbox / "a", "two", day=5)
    planned = await done("plan")
    assert planned.out.startswith(f"+ copy s3://{bucket}/in/2023/11/14/a  <- file://{inbox}/a  (the source changed;")
    assert "1 to copy" in planned.out
    synced = await done("sync")
    assert "1 copied" in synced.out
    assert "deleted" not in synced.out
    assert keys_in(s3_client, bucket) == {"in/2023/11/14/a", "in/2023/11/15/sub/b"}
    assert stored(s3_client, bucket, "in/2023/11/14/a") == b"two"

    async with running(tmp_path, *DEBUG, str(file)) as daemon:
        await daemon.log("folder.rescanned")
        assert daemon.logged("transfer.started") == [], "run must use the keys that sync has bound"
        write(inbox / "a", "three", day=9)
        write(inbox / "c", "new", day=9)
        for key in ("in/2023/11/14/a", "in/2023/11/23/c"):
            await daemon.log("transfer.completed", key=key)
        await daemon.synced("in/2023/11/14/a", "in/2023/11/15/sub/b", "in/2023/11/23/c")
        assert stored(s3_client, bucket, "in/2023/11/14/a") == b"three"

        (inbox / "a").unlink()
        await daemon.log("item.pruned", key="in/2023/11/14/a")
        write(inbox / "a", "four", day=20)
        await daemon.log("transfer.completed", key="in/2023/12/04/a")
        await daemon.synced("in/2023/11/15/sub/b", "in/2023/11/23/c", "in/2023/12/04/a")
        assert await daemon.stop() == 0
    assert keys_in(s3_client, bucket) == {"in/2023/11/15/sub/b", "in/2023/11/23/c", "in/2023/12/04/a"}
    assert "3 unchanged" in (await done("plan")).out
