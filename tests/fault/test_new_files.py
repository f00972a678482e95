"""New files that `sync` sends in batches: what they cost, and each answer of the store, or change, that is none of the
expected ones. Afterwards each object has its file's bytes, and each transfer that was started has ended once."""

import asyncio
import signal
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from multidict import CIMultiDict

import mirrord
from mirrord.engine.local_files import LocalFiles
from mirrord.events import Event, TransferCompleted, TransferFailed, TransferInterrupted, TransferStarted
from mirrord.journal.sqlite import SqliteJournal
from mirrord.model import Transfer
from tests.support.command import environment, start
from tests.support.daemon import DEBUG
from tests.support.inbox import md5, objects
from tests.support.killing import HeldCalls
from tests.support.proxy import Seen, StoreProxy
from tests.support.store_faults import Faults, StoreFault, answer_lost, answers, denied, internal_error, slow_down
from tests.support.syncing import manifest, sync, with_store_field

FILES = 30
TRANSFERS = 8
ENDS = (TransferCompleted, TransferFailed, TransferInterrupted)


@dataclass
class Inbox:
    """A folder of `FILES` new files, in three directories."""

    home: Path
    proxy: StoreProxy
    bucket: str
    s3: Any
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        for number in range(FILES):
            file = self.file(number)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(self.content(number))
        self.declare()

    def declare(self, store: str = "", folder: str = "settle: 0s") -> None:
        """Write the manifest: `store` is one more line of the store, `folder` are fields of the folder."""
        body = f"folders: [{{path: inbox, to: 's3://{self.bucket}/in/', {folder}}}]\n"
        self.manifest = manifest(self.home, self.proxy.server, f"daemon: {{transfers: {TRANSFERS}}}\n{body}")
        if store:
            with_store_field(self.manifest, store)

    def content(self, number: int) -> bytes:
        return f"file {number}".encode()

    def file(self, number: int) -> Path:
        return self.home / "inbox" / f"{number % 3}" / f"{number:02}"

    def key(self, number: int) -> str:
        return f"in/{number % 3}/{number:02}"

    @property
    def state(self) -> Path:
        return self.home / "state" / "mirrord"

    async def sync(self) -> Any:
        self.proxy.clear()
        self.events.clear()
        return await mirrord.sync([str(self.manifest)], state=str(self.state), environ={}, observer=self.events.append)

    def one_end_for_each_start(self) -> int:
        begun = Counter(one.transfer_id for one in self.events if isinstance(one, TransferStarted))
        ended = Counter(one.transfer_id for one in self.events if isinstance(one, ENDS))
        assert begun == ended
        return len(begun)

    def failed(self) -> int:
        return sum(isinstance(one, TransferFailed) for one in self.events)

    async def assert_in_sync(self) -> None:
        """Each object has its file's bytes, no intent is left, and the next pass sends nothing."""
        files = {self.key(number): md5(self.file(number).read_bytes()) for number in range(FILES)}
        assert objects(self.s3, self.bucket) == files
        async with SqliteJournal(self.state / "state.db", read_only=True) as journal:
            assert [one async for one in journal.unfinished()] == []
        again = await self.sync()
        assert (again.unchanged, again.failed, self.proxy.writes) == (FILES, False, 0)


@pytest.fixture
def inbox(tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any) -> Inbox:
    return Inbox(tmp_path, store_proxy, bucket, s3_client)


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of transfers that each call of the journal began."""
    numbers: list[int] = []
    begin_all = SqliteJournal.begin_all

    async def counted(journal: SqliteJournal, transfers: Sequence[Transfer]) -> None:
        numbers.append(len(transfers))
        await begin_all(journal, transfers)

    monkeypatch.setattr(SqliteJournal, "begin_all", counted)
    return numbers


@pytest.mark.parametrize("store", ["", "checksum: md5", "checksum: sha256", "payload_signing: always"])
async def test_each_costs_one_put_and_all_one_listing(inbox: Inbox, begun: list[int], store: str) -> None:
    inbox.declare(store, "settle: 0s, max_size: 1KiB, object: {metadata: {team: data}, storage_class: STANDARD}")
    report = await inbox.sync()
    assert (report.copied, report.unchanged, report.failed) == (FILES, 0, False)
    calls = inbox.proxy.counts
    assert (calls["PutObject"], calls["ListObjectsV2"], calls["HeadObject"], calls["GetObject"]) == (FILES, 1, 0, 0)
    assert (inbox.one_end_for_each_start(), begun) == (FILES, [FILES])
    await inbox.assert_in_sync()


async def test_files_whose_directory_has_its_marker_are_sent_together(inbox: Inbox, begun: list[int]) -> None:
    inbox.declare(folder="settle: 0s, ready: _SUCCESS")
    (inbox.home / "inbox/0/_SUCCESS").touch()
    report = await inbox.sync()
    assert (report.copied, len(report.left), begun) == (FILES // 3, FILES - FILES // 3, [FILES // 3])
    for directory in "12":
        (inbox.home / f"inbox/{directory}/_SUCCESS").touch()
    await inbox.sync()
    await inbox.assert_in_sync()


@pytest.mark.parametrize(
    ("fault", "times", "resolved"),
    [
        (internal_error, 3, True),
        (slow_down, 2, False),
        (answer_lost, 3, True),
        (denied, 2, False),
        (answers(501, "NotImplemented"), 2, False),
        (answers(409, "ConditionalRequestConflict"), 2, False),
    ],
    ids=str,
)
async def test_answers_that_are_none_of_the_expected(
    inbox: Inbox, fault: StoreFault, times: int, resolved: bool
) -> None:
    """`resolved`: within the same attempt, because the outcome is unknown."""
    faults = Faults(inbox.proxy).on("PutObject", fault, times=times, skip=10)
    report = await inbox.sync()
    faults.lift()
    assert (report.failed, report.copied + report.unchanged, faults.met) == (False, FILES, times)
    assert inbox.one_end_for_each_start() >= FILES
    assert inbox.failed() == 0 if resolved else inbox.failed() >= times
    await inbox.assert_in_sync()


async def test_an_object_that_appears_after_the_listing(inbox: Inbox) -> None:
    async def appears(seen: Seen, request: web.Request) -> None:
        if seen.operation == "ListObjectsV2":
            put = {"Bucket": inbox.bucket, "Key": inbox.key(7), "Body": b"of another program"}
            await asyncio.to_thread(lambda: inbox.s3.put_object(**put))

    inbox.proxy.after = appears  # type: ignore[assignment]
    report = await inbox.sync()
    inbox.proxy.after = None
    assert (report.copied, report.failed) == (FILES, False)
    assert (inbox.failed(), inbox.one_end_for_each_start()) == (1, FILES + 1)
    await inbox.assert_in_sync()


async def test_an_answer_with_another_checksum(inbox: Inbox) -> None:
    damaged: list[str] = []

    def other(seen: Seen, headers: CIMultiDict[str], body: bytes) -> bytes:
        if seen.operation == "PutObject" and seen.key.endswith("07") and not damaged:
            damaged.append(headers["x-amz-checksum-crc64nvme"])
            headers["x-amz-checksum-crc64nvme"] = "AAAAAAAAAAA="
        return body

    inbox.proxy.rewrite = other
    report = await inbox.sync()
    inbox.proxy.rewrite = None
    assert (report.copied, report.failed, len(damaged)) == (FILES, False, 1)
    assert inbox.proxy.counts["PutObject"] == FILES + 1
    assert (inbox.failed(), inbox.one_end_for_each_start()) == (1, FILES + 1)
    await inbox.assert_in_sync()


async def test_files_that_change_before_they_are_read(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    read = LocalFiles.read_group

    async def changed(files: LocalFiles, *given: Any) -> Any:
        monkeypatch.setattr(LocalFiles, "read_group", read)
        inbox.file(3).write_bytes(b"longer than it was before")
        inbox.file(4).unlink()
        inbox.file(4).write_bytes(inbox.content(4))
        return await read(files, *given)

    monkeypatch.setattr(LocalFiles, "read_group", changed)
    report = await inbox.sync()
    assert (report.copied, report.failed, inbox.failed()) == (FILES, False, 0)
    await inbox.assert_in_sync()


async def test_a_signal_in_a_batch(inbox: Inbox) -> None:
    held = HeldCalls("PutObject", nth=20, count=TRANSFERS)
    held.set_on(inbox.proxy)
    command = ["sync", str(inbox.manifest), "--log-format", "json", *DEBUG]
    process = await start(command, environment(inbox.home), cwd=inbox.home)
    try:
        assert await held.reached()
        process.send_signal(signal.SIGTERM)
        _, log = await process.communicate()
    finally:
        inbox.proxy.before = inbox.proxy.after = None
        held.release()
    lines = log.decode()
    assert (process.returncode, "interrupted" in lines) == (1, True)
    assert lines.count('"transfer.started"') == 19 + TRANSFERS
    assert lines.count('"transfer.completed"') == 19
    assert lines.count('"transfer.interrupted"') == TRANSFERS
    await inbox.proxy.idle()
    done = await sync(inbox.home, inbox.manifest)
    assert done.code == 0, done.output
    await inbox.assert_in_sync()
