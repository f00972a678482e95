"""The journal and its lock under kill -9 and a full disk, in processes of their own."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mirrord.errors import JournalLocked
from mirrord.journal.lock import StateLock
from mirrord.journal.sqlite import SqliteJournal
from mirrord.model import State

ROOT = Path(__file__).parents[2]

PRELUDE = """
import asyncio, ctypes, itertools, os, resource, sys
from pathlib import Path
ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG: ends with the test
from mirrord.errors import JournalUnavailable
from mirrord.journal.lock import StateLock
from mirrord.journal.sqlite import SqliteJournal
from mirrord.model import *

PATH = Path(sys.argv[1])

def say(word):
    os.write(1, f"{word}\\n".encode())

def at(key):
    return Destination(store="s", endpoint="e", bucket="b", key=key)

def record(key, message=""):
    return Record(item_id=at(key).item_id, entry="e", source="file:///x", destination=at(key),
                  condition=Condition(state=State.SYNCED, message=message), object=RecordedObject(transfer_id=key))

def transfer(key):
    return Transfer(id=key, item_id=at(key).item_id, destination=at(key), revision=Revision(address="a"),
                    kind=TransferKind.PUT, started=1.0)

"""

STREAM = """
async def worker(journal, numbers):
    for number in numbers:
        key = f"k{number}"
        await journal.begin(transfer(key))
        say(f"begun {key}")
        await journal.finish(key, record(key))
        say(f"finished {key}")

async def main():
    async with SqliteJournal(PATH) as journal:
        numbers = itertools.count()
        await asyncio.gather(*(worker(journal, numbers) for _ in range(16)))

asyncio.run(main())
"""

HOLD = """
with StateLock(PATH):
    say("held")
    sys.stdin.read()
"""

FILL = """
LIMIT = 768 * 1024

async def main():
    async with SqliteJournal(PATH) as journal:
        await journal.begin(transfer("old"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, resource.RLIM_INFINITY))
        saved = 0
        try:
            for number in itertools.count():
                await journal.save(record(f"k{number}", "x" * 4000))
                saved += 1
        except JournalUnavailable as error:
            say(error)
        for _ in range(3):
            try:
                await journal.finish("old", record("old", "y" * LIMIT))
            except JournalUnavailable as error:
                say("still full")
        assert await journal.record(at("k0").item_id), "reading goes on"
        assert [one.id async for one in journal.unfinished()] == ["old"], "no part of finish is committed"
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        await journal.finish("old", record("old"))
        say(saved)

asyncio.run(main())
"""


@contextmanager
def running(script: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", PRELUDE + script, str(path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("lines", [1, 500, 3_000])
async def test_every_commit_that_returned_survives_kill_9(tmp_path: Path, lines: int) -> None:
    path = tmp_path / "state" / "state.db"
    with running(STREAM, path) as process:
        output = [process.stdout.readline() for _ in range(lines)]
        process.send_signal(signal.SIGKILL)
        output += process.stdout.readlines()
        assert process.wait() == -signal.SIGKILL, process.stderr.read()
    words = [line.split() for line in output if line.endswith("\n")]
    begun = {key for word, key in words if word == "begun"}
    finished = {key for word, key in words if word == "finished"}
    assert begun

    async with SqliteJournal(path, read_only=True) as reader:
        seen = {one.destination.key async for one in reader.records()}
    async with SqliteJournal(path) as journal:
        recorded = {one.destination.key async for one in journal.records()}
        unfinished = {one.id async for one in journal.unfinished()}
    assert seen == recorded, "a reader of a crashed daemon's files reads the same"
    assert finished <= recorded
    assert begun - recorded <= unfinished, "every intent is finished or unfinished"
    assert not recorded & unfinished, "finish is one commit of both"
    assert len(unfinished) <= 16


def test_the_lock_of_another_process_is_released_by_kill_9(tmp_path: Path) -> None:
    with running(HOLD, tmp_path) as process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(JournalLocked, match=rf"\(pid {process.pid}\)"), StateLock(tmp_path):
            pass
        process.kill()
        process.wait()
        with StateLock(tmp_path):
            pass


def test_a_child_process_does_not_keep_the_lock(tmp_path: Path) -> None:
    with StateLock(tmp_path):
        child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    try:
        with StateLock(tmp_path):
            assert child.poll() is None
    finally:
        child.communicate()


async def test_a_full_disk_is_an_error_until_there_is_space(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with running(FILL, path) as process:
        output, errors = process.communicate()
    assert process.returncode == 0, errors
    first, *again, saved = output.splitlines()
    assert "the journal" in first
    assert str(path) in first
    assert again == ["still full"] * 3
    async with SqliteJournal(path) as journal:
        states = [one.condition.state async for one in journal.records()]
        assert [one async for one in journal.unfinished()] == []
    assert states == [State.SYNCED] * (int(saved) + 1)
    assert int(saved) > 10
