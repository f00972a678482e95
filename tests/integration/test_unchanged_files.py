"""Among many unchanged files of a folder, which `sync` finds together, each that needs a check still gets one."""

import os
import sqlite3
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

import mirrord
from mirrord.errors import Reason
from mirrord.events import Event, ItemsUnchanged, ItemUnchanged, TransferCompleted
from mirrord.journal.sqlite import SqliteJournal
from mirrord.model import Destination, Record, State
from mirrord.programs.desired import read
from mirrord.programs.sync import sync as sync_desired
from mirrord.telemetry.fanout import unobserved
from tests.support.journals import transfer
from tests.support.proxy import StoreProxy
from tests.support.syncing import events, manifest, sync

FILES = 60
LATER = 1_900_000_000


@dataclass
class Inbox:
    """A folder of `FILES` files that are in sync."""

    home: Path
    proxy: StoreProxy
    bucket: str
    s3: Any

    @property
    def root(self) -> Path:
        return self.home / "inbox"

    @property
    def state(self) -> Path:
        return self.home / "state" / "mirrord"

    def manifest(self, options: str = "") -> Path:
        body = f"folders:\n  - {{path: inbox, to: 's3://{self.bucket}/in/', settle: 0s{options}}}\n"
        return manifest(self.home, self.proxy.server, body)

    def file(self, number: int) -> Path:
        return self.root / f"{number % 3}" / f"{number:02}"

    async def sync(self, options: str = "", **more: Any) -> tuple[Any, list[Event]]:
        """The report of a pass, and its events."""
        seen: list[Event] = []
        file = str(self.manifest(options))
        self.proxy.clear()
        report = await mirrord.sync([file], state=str(self.state), environ={}, observer=seen.append, **more)
        return report, seen

    async def plan(self, options: str = "") -> Any:
        return await mirrord.plan([str(self.manifest(options))], state=str(self.state), environ={})

    async def record(self, number: int) -> Record:
        endpoint, key = self.proxy.server.options().endpoint, f"in/{number % 3}/{number:02}"
        async with SqliteJournal(self.state / "state.db") as journal:
            found = await journal.record(Destination("default", endpoint, self.bucket, key).item_id)
        assert found is not None
        return found

    async def save(self, record: Record) -> None:
        async with SqliteJournal(self.state / "state.db") as journal:
            await journal.save(record)


@pytest.fixture
async def inbox(tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any) -> Inbox:
    inbox = Inbox(tmp_path, store_proxy, bucket, s3_client)
    for number in range(FILES):
        inbox.file(number).parent.mkdir(parents=True, exist_ok=True)
        inbox.file(number).write_text(f"file {number}")
    report, _ = await inbox.sync()
    assert report.copied == FILES
    return inbox


def together(seen: list[Event]) -> int:
    """How many files were found unchanged together."""
    return sum(one.count for one in seen if isinstance(one, ItemsUnchanged))


def alone(seen: list[Event]) -> list[str]:
    return sorted(one.item.destination.key for one in seen if isinstance(one, ItemUnchanged))


def copied(seen: list[Event]) -> list[str]:
    return sorted(one.item.destination.key for one in seen if isinstance(one, TransferCompleted))


async def test_nothing_changed(inbox: Inbox) -> None:
    """One listing and no other call; the journal is not written."""
    before = (inbox.state / "state.db").read_bytes()
    for report in ((await inbox.sync())[0], await inbox.plan()):
        assert (report.unchanged, report.left, report.incomplete, report.seen) == (FILES, [], [], FILES)
    assert {name: count for name, count in inbox.proxy.counts.items() if name != "HeadBucket"} == {"ListObjectsV2": 2}
    assert (inbox.state / "state.db").read_bytes() == before
    _, seen = await inbox.sync()
    assert (together(seen), alone(seen), copied(seen)) == (FILES, [], [])
    (first, *_) = (one for one in seen if isinstance(one, ItemsUnchanged))
    assert {item.destination.bucket for item in first.items()} == {inbox.bucket}


async def test_what_changed_is_checked(inbox: Inbox) -> None:
    """A file that is new, changed, touched; an object that was deleted, replaced; a record of another state."""
    (inbox.root / "new").write_text("new")
    inbox.file(1).write_text("changed")
    os.utime(inbox.file(2), (LATER, LATER))
    inbox.file(3).unlink()
    inbox.s3.delete_object(Bucket=inbox.bucket, Key="in/1/04")
    inbox.s3.put_object(Bucket=inbox.bucket, Key="in/2/05", Body=b"of another program")
    blocked, unknown = await inbox.record(6), await inbox.record(7)
    condition = replace(blocked.condition, state=State.BLOCKED, reason=Reason.CONFLICT, message="it was so")
    await inbox.save(replace(blocked, condition=condition))
    await inbox.save(replace(unknown, object=replace(unknown.object, options_digest="f" * 16)))
    planned = await inbox.plan()
    assert sorted(one.item.destination.key for one in planned.copies) == [
        "in/1/01",
        "in/1/04",
        "in/1/07",
        "in/2/05",
        "in/new",
    ]
    report, seen = await inbox.sync()
    assert copied(seen) == ["in/1/01", "in/1/04", "in/1/07", "in/2/05", "in/new"]
    assert alone(seen) == ["in/0/06", "in/2/02"], "checked, and found to be in sync"
    assert together(seen) == FILES - 7
    assert (report.copied, report.rewritten, report.failed) == (4, 1, False)
    assert (report.unchanged, planned.unchanged) == (FILES - 5, FILES - 5)
    assert (await inbox.record(6)).condition.state is State.SYNCED
    assert (await inbox.sync())[0].unchanged == FILES


async def test_a_transfer_that_did_not_end_is_resolved(inbox: Inbox) -> None:
    record = await inbox.record(9)
    async with SqliteJournal(inbox.state / "state.db") as journal:
        assert record.revision is not None
        await journal.begin(
            transfer(id="0" * 32, item_id=record.item_id, destination=record.destination, revision=record.revision)
        )
    _, seen = await inbox.sync()
    assert (alone(seen), together(seen)) == ([record.destination.key], FILES - 1)
    async with SqliteJournal(inbox.state / "state.db") as journal:
        assert not await journal.unfinished_of(record.item_id)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (", suspend: true", (0, 0, FILES)),
        (", object: {cache_control: no-store}", (FILES, 0, 0)),
        (", verify: readback", (FILES, 0, 0)),
        (", key: '{date:%Y}/{path}'", (FILES, 0, 0)),
        (", drift: report, overwrite: never", (0, FILES, 0)),
        (", ready: '*.done'", (0, FILES, 0)),
        (", delete: mirror", (0, FILES, 0)),
    ],
)
async def test_options_that_changed(inbox: Inbox, options: str, expected: tuple[int, int, int]) -> None:
    planned = await inbox.plan(options)
    report, _ = await inbox.sync(options)
    assert (report.copied + report.rewritten, report.unchanged, len(report.left)) == expected
    assert report.rewritten == (FILES if "cache_control" in options else 0)
    assert (len(planned.copies), planned.unchanged, len(planned.left)) == expected
    report, seen = await inbox.sync(options)
    assert (report.copied, report.unchanged, len(report.left)) == (0, FILES - expected[2], expected[2])
    assert together(seen) == (0 if "suspend" in options or "date" in options else FILES)


async def test_files_that_leave_are_checked_one_by_one(inbox: Inbox) -> None:
    report, _ = await inbox.sync(", after_upload: delete")
    assert (report.unchanged, report.failed) == (FILES, False)
    assert not [one for one in inbox.root.rglob("*") if one.is_file()]


async def test_the_objects_of_missing_files_are_deleted_as_before(inbox: Inbox) -> None:
    for number in range(5):
        inbox.file(number).unlink()
    planned = await inbox.plan(", delete: mirror")
    report, _ = await inbox.sync(", delete: mirror")
    assert (report.deleted, report.unchanged, len(planned.removals)) == (5, FILES - 5, 5)


async def test_devices_with_new_numbers_are_learned_from_unchanged_files(inbox: Inbox) -> None:
    """As after a reboot: only unchanged files show that the recorded number is that of the device with another one
    now, so that the object of a missing file may be deleted."""
    with sqlite3.connect(inbox.state / "state.db") as journal:
        journal.execute("UPDATE items SET revision = json_set(revision, '$.file[0]', 1000001)")
    journal.close()
    inbox.file(0).unlink()
    report, seen = await inbox.sync(", delete: mirror")
    assert (report.deleted, together(seen)) == (1, FILES - 1)


async def test_a_selection_counts_what_it_selects(inbox: Inbox) -> None:
    report, _ = await inbox.sync(only=["in/0/0*"])
    assert report.unchanged == 4
    report, seen = await inbox.sync(only=["inbox", "in/0/0*"])
    assert (report.unchanged, together(seen)) == (FILES, FILES)


async def test_each_has_its_line_at_debug(inbox: Inbox) -> None:
    """The command's log, as if each had been checked alone."""
    done = await sync(inbox.home, inbox.manifest(), "--state", str(inbox.state), "--log-level", "debug")
    lines = events(done, "item.unchanged")
    assert len({line["key"] for line in lines}) == len(lines) == FILES
    assert all(line["outcome"] == "unchanged" for line in lines)
    assert f"0 copied (0 B), {FILES} unchanged" in done.out


async def test_a_file_that_another_folder_takes_away_is_a_conflict(inbox: Inbox) -> None:
    """It came back, in a directory that was moved, after the manifest was read."""
    away, body = (
        inbox.home / "away",
        f"  - {{path: inbox, to: 's3://{inbox.bucket}/in/', settle: 0s, include: ['**/*']}}\n",
    )
    taker = f"  - {{path: inbox/0, to: 's3://{inbox.bucket}/out/', settle: 0s, include: ['*'], after_upload: delete}}\n"
    (inbox.root / "0").rename(away)
    (inbox.root / "0").mkdir()
    file = manifest(inbox.home, inbox.proxy.server, f"folders:\n{body}{taker}")
    desired = read([str(file)], {})
    assert not desired.problems
    (inbox.root / "0").rmdir()
    away.rename(inbox.root / "0")
    report = await sync_desired(desired, desired.settings({"state": str(inbox.state)}, {}), unobserved)
    assert report.unchanged == FILES - FILES // 3
    assert {left.outcome.reason for left in report.left} == {Reason.CONFLICT}
    assert len(report.left) == 2 * (FILES // 3)
    assert len(list((inbox.root / "0").iterdir())) == FILES // 3
