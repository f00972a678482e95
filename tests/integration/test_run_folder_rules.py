"""`mirrord run` on a folder with rules: deletion of objects whose files are gone, and files that wait for markers."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mirrord.engine.local_files import LocalFiles
from mirrord.settings import Settings
from mirrord.sources import mounts
from tests.support.daemon import Daemon, running, store_section
from tests.support.folder_world import SPEC
from tests.support.records import with_fields
from tests.support.stored import keys_in
from tests.support.weed import Server


async def test_files_that_go_and_files_without_markers(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any
) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for name in ("a", "b", "c"):
        (inbox / name).write_text(name)
        (inbox / f"{name}.done").touch()
    (inbox / "waits").touch()
    rules = "settle: 100ms, rescan: 300ms, delete: mirror, ready: '*.done'"
    file = tmp_path / "m.yaml"
    file.write_text(store_section(weed) + f"folders:\n  - {{path: inbox, to: 's3://{bucket}/in/', {rules}}}\n")
    async with running(tmp_path, str(file)) as daemon:
        await daemon.wait_for(lambda: len(daemon.logged("transfer.completed")) == 3)
        (waiting,) = [one for one in (await daemon.items()).values() if one["state"] == "Waiting"]
        assert (waiting["reason"], waiting["destination"]) == ("NoMarker", f"s3://{bucket}/in/waits")
        (inbox / "b").unlink()
        await daemon.log("item.pruned", key="in/b")
        assert keys_in(s3_client, bucket) == {"in/a", "in/c"}
        inbox.rename(tmp_path / "away")
        await daemon.wait_for(lambda: daemon.logged("folder.rescanned", complete=False))
        (tmp_path / "away").rename(inbox)
        mark = daemon.mark
        (inbox / "b").write_text("b again")
        await daemon.log("transfer.completed", since=mark, key="in/b")
        assert keys_in(s3_client, bucket) == {"in/a", "in/b", "in/c"}
        assert len(daemon.logged("item.pruned")) == 1
        await daemon.wait_for(partial(totals_are, daemon, {"Synced": 3, "Waiting": 1}))
        (inbox / "c.done").unlink()
        (inbox / "c").write_text("c again")  # its object exists, but the file counts as waiting
        await daemon.wait_for(partial(totals_are, daemon, {"Synced": 2, "Waiting": 2}))
        measured = await daemon.metrics()
        assert {state: measured[f'mirrord_items{{state="{state}"}}'] for state in ("Synced", "Waiting")} == {
            "Synced": 2,
            "Waiting": 2,
        }


async def totals_are(daemon: Daemon, wanted: Mapping[str, int]) -> bool:
    """The numbers in the first line of status and page."""
    return bool((await daemon.api("status"))["totals"] == wanted)


async def test_a_file_system_without_events_is_polled_unless_the_folder_sets_watch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    table = tmp_path / "mountinfo"
    table.write_text("31 1 0:31 / / rw - nfs4 host:/export rw\n")
    monkeypatch.setattr(mounts, "MOUNTINFO", str(table))
    files, spec = LocalFiles(Settings(state=tmp_path / "state.db").own_paths), replace(SPEC, path=str(inbox))
    with pytest.raises(OSError, match="is nfs4, where changes come without events"):
        async with files.hints(spec):
            pytest.fail("it was watched")
    async with files.hints(with_fields(spec, watch="events")) as hints:
        assert hints.watching == "events"
        (inbox / "a").touch()
        assert str(inbox / "a") in await hints.changed()
