"""A folder whose file system hangs blocks only itself, and does not block the end of the process."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import Daemon, running, store_section
from tests.support.hanging import Hanging
from tests.support.stored import keys_in
from tests.support.weed import Server

SILENCE = 1.0
GRACE = 6.0
OFTEN = "settle: 50ms, rescan: 500ms, poll_interval: 200ms, delete: mirror"


class Beats:
    """Requests /livez all the time. `longest`: the maximum of the seconds between two answers."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self.longest = 0.0
        self._task = asyncio.create_task(self._beat())

    async def _beat(self) -> None:
        last = time.monotonic()
        while True:
            assert (await self._daemon.ask("/livez"))[0] == 200
            now = time.monotonic()
            self.longest, last = max(self.longest, now - last), now
            await asyncio.sleep(0.05)

    async def stop(self) -> float:
        self._task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await self._task
        return self.longest


@pytest.fixture
def hanging(tmp_path: Path) -> Iterator[Hanging]:
    for name in ("hangs", "well"):
        (tmp_path / name).mkdir()
    gate = Hanging(tmp_path, tmp_path / "hangs", SILENCE)
    yield gate
    gate.open()


def manifest(tmp_path: Path, weed: Server, bucket: str) -> str:
    entries = [f"{{path: {name}, name: {name}, to: 's3://{bucket}/{name}/', {OFTEN}}}" for name in ("hangs", "well")]
    file = tmp_path / "m.yaml"
    file.write_text(f"{store_section(weed)}daemon: {{shutdown_grace: {GRACE:g}s}}\nfolders: [{', '.join(entries)}]\n")
    return str(file)


async def up(daemon: Daemon) -> dict[str, float | None]:
    samples = await daemon.metrics()
    return {name: samples.get(f'mirrord_folder_up{{folder="{name}"}}') for name in ("hangs", "well")}


async def test_a_folder_that_hangs_is_down_until_it_answers_and_others_are_not_affected(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any, hanging: Hanging
) -> None:
    (tmp_path / "hangs" / "a").write_text("a")
    async with running(tmp_path, manifest(tmp_path, weed, bucket), env=hanging.env) as daemon:
        await daemon.synced("hangs/a")
        beats = Beats(daemon)
        hanging.close()
        (tmp_path / "hangs" / "b").write_text("b")
        await daemon.wait_for(lambda: hanging.entered)
        keys = ["hangs/a"]
        for number in range(3):
            (tmp_path / "well" / f"{number}").write_text("well")
            keys.append(f"well/{number}")
            await daemon.synced(*keys)

        async def is_down() -> bool:
            return await up(daemon) == {"hangs": 0.0, "well": 1.0}

        await daemon.wait_for(is_down)
        folders = {one["name"]: one for one in (await daemon.api("status"))["folders"]}
        assert folders["hangs"]["complete"] is False
        assert "hangs has not answered for 1 s" in folders["hangs"]["problem"]
        assert (await daemon.ask("/readyz"))[0] == 200
        (tmp_path / "well" / "last").write_text("well")
        await daemon.synced(*keys, "well/last")
        assert keys_in(s3_client, bucket) >= {"hangs/a"}  # no file counts as deleted

        hanging.open()
        await daemon.synced(*keys, "well/last", "hangs/b")

        async def is_up() -> bool:
            return await up(daemon) == {"hangs": 1.0, "well": 1.0}

        await daemon.wait_for(is_up)
        assert await beats.stop() < SILENCE


async def test_a_file_that_hangs_while_it_is_read_is_retried_and_sent_once_it_answers(
    tmp_path: Path, weed: Server, bucket: str, hanging: Hanging
) -> None:
    source = tmp_path / "hangs" / "file"
    source.write_text("content")
    mirror = f"mirrors: [{{url: 'file://{source}', to: 's3://{bucket}/file', every: 1s}}]\n"
    file = tmp_path / "m.yaml"
    file.write_text(f"{store_section(weed)}{mirror}folders: [{{path: well, to: 's3://{bucket}/well/', {OFTEN}}}]\n")
    hanging.close()
    async with running(tmp_path, str(file), env=hanging.env) as daemon:
        (tmp_path / "well" / "x").write_text("x")
        line = await daemon.log("item.retrying", key="file")
        assert (line["reason"], line["level"]) == ("SourceUnavailable", "warning")
        await daemon.wait_for(lambda: daemon.logged("transfer.completed", key="well/x"))
        hanging.open()
        await daemon.synced("file", "well/x")


@pytest.mark.parametrize("after_silence", [False, True])
async def test_the_process_ends_within_its_grace_while_reads_hang(
    tmp_path: Path, weed: Server, bucket: str, hanging: Hanging, *, after_silence: bool
) -> None:
    (tmp_path / "hangs" / "a").write_text("a")
    async with running(tmp_path, manifest(tmp_path, weed, bucket), env=hanging.env) as daemon:
        await daemon.synced("hangs/a")
        hanging.close()
        await daemon.wait_for(lambda: hanging.entered)
        if after_silence:

            async def is_down() -> bool:
                return (await up(daemon))["hangs"] == 0.0

            await daemon.wait_for(is_down)
        began = time.monotonic()
        assert await daemon.stop() == 0
        assert time.monotonic() - began < GRACE + 2


def with_after_upload(file: Path, mirrored: Path, bucket: str) -> tuple[str, str]:
    """The manifest `file` with `after_upload: delete` of the folder `well`; and the same with a mirror added."""
    text = file.read_text().replace("delete: mirror", "include: ['*.csv']")
    text = text.replace("name: well,", "name: well, after_upload: delete,")
    return text, f"{text}mirrors: [{{url: 'file://{mirrored}', to: 's3://{bucket}/mirrored'}}]\n"


async def test_a_reload_while_a_root_hangs_delays_no_file_of_another_folder(
    tmp_path: Path, weed: Server, bucket: str, hanging: Hanging
) -> None:
    manifest(tmp_path, weed, bucket)
    file, mirrored, uploaded = tmp_path / "m.yaml", tmp_path / "mirrored", tmp_path / "well" / "b.csv"
    before, after = with_after_upload(file, mirrored, bucket)
    file.write_text(before)
    (tmp_path / "hangs" / "a.csv").write_text("a")
    mirrored.write_text("m")
    async with running(tmp_path, str(file), env=hanging.env) as daemon:
        await daemon.synced("hangs/a.csv")
        hanging.close()
        await daemon.wait_for(lambda: hanging.entered)
        file.write_text(after)
        await daemon.synced("hangs/a.csv", "mirrored")
        uploaded.write_text("b")
        await daemon.wait_for(lambda: not uploaded.exists())
        await daemon.synced("hangs/a.csv", "mirrored", "well/b.csv")
        assert not daemon.logged("item.blocked")
        hanging.open()
