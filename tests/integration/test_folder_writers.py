"""Writers that change the file of an existing name: replaced by a rename, or overwritten in place.

As tests/integration/test_folder_storms.py: the real `mirrord run`, and a thread that must never list a part of a file.
All of them write at the same time into one folder.
"""

import asyncio
import os
from pathlib import Path

from tests.support.inbox import Inbox, folder, md5
from tests.support.proxy import StoreProxy
from tests.support.weed import Server

SETTLE = 1.5
"""Seconds: much longer than the pauses below, even if the test has to wait for a core."""
PAUSE = 0.03
SAME = (1_600_000_000, 1_600_000_000)


async def arrived(inbox: Inbox, name: str, content: bytes | bytearray) -> None:
    """Wait until the object has this content."""
    await inbox.daemon.wait_for(lambda: inbox.watch.latest.get(name) == md5(bytes(content)), what=name)


def replaced(inbox: Inbox, name: str, content: bytes) -> None:
    """By rename with the same mtime and size, so that only inode and ctime differ."""
    fresh = inbox.root / f".{name}.fresh"
    fresh.write_bytes(content)
    os.utime(fresh, SAME)
    fresh.rename(inbox.root / name)


async def replace_within_the_settle(inbox: Inbox) -> None:
    """Only the last version is sent."""
    for number in range(8):
        replaced(inbox, "hasty", b"%02d" % number * 1000)
        await asyncio.sleep(2 * PAUSE)
    inbox.watch.allow("hasty", b"last" * 500)
    replaced(inbox, "hasty", b"last" * 500)
    await arrived(inbox, "hasty", b"last" * 500)


async def replace_after_each_settle(inbox: Inbox) -> None:
    for number in range(3):
        content = b"version %d" % number
        inbox.watch.allow("patient", content)
        replaced(inbox, "patient", content)
        await arrived(inbox, "patient", content)


async def rsync_inplace(inbox: Inbox) -> None:
    """Open the existing file, rewrite its blocks, truncate it to its new length, set the mtime of the sender's file.

    Until then it is a mixture, which nobody may see.
    """
    content = bytearray(os.urandom(400_000))
    inbox.write("image", bytes(content))
    await arrived(inbox, "image", content)
    for lap, length in enumerate((300_000, 450_000)):
        content = content[:length].ljust(length, b".")
        for at in range(0, length, 100_000):
            content[at : at + 10_000] = os.urandom(10_000)
        inbox.watch.allow("image", bytes(content))
        file = os.open(inbox.root / "image", os.O_WRONLY)
        try:
            for at in range(0, length, 50_000):
                os.pwrite(file, content[at : at + 50_000], at)
                await asyncio.sleep(PAUSE)
            os.ftruncate(file, length)
        finally:
            os.close(file)
        os.utime(inbox.root / "image", (SAME[0] + lap, SAME[1] + lap))
        await arrived(inbox, "image", content)


async def vim_backupcopy(inbox: Inbox) -> None:
    """backupcopy=yes, as for links and files of other users: copy to the backup, truncate, write, sync."""
    inbox.write("notes", b"first")
    await arrived(inbox, "notes", b"first")
    for number in range(2):
        content = b"saved %d\n" % number * 20_000
        inbox.watch.allow("notes", content)
        (inbox.root / "notes~").write_bytes((inbox.root / "notes").read_bytes())
        with (inbox.root / "notes").open("wb", buffering=0) as file:
            file.write(content[:100_000])
            await asyncio.sleep(PAUSE)
            file.write(content[100_000:])
            os.fsync(file.fileno())
        (inbox.root / "notes~").unlink()
        await arrived(inbox, "notes", content)


async def test_files_that_are_replaced_and_written_over(
    tmp_path: Path, weed: Server, bucket: str, store_proxy: StoreProxy
) -> None:
    async with folder(tmp_path, weed, bucket, store_proxy, settle=f"{SETTLE}s") as inbox:
        await asyncio.gather(
            replace_within_the_settle(inbox),
            replace_after_each_settle(inbox),
            rsync_inplace(inbox),
            vim_backupcopy(inbox),
        )
        await inbox.equal()
        await inbox.once(patient=3, image=3, notes=3)
        assert set(inbox.puts) == {"hasty", "patient", "image", "notes"}
