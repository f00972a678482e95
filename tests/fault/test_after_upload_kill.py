"""`after_upload` and kill -9 of the real `mirrord run` at each step from the proof to the removal of a file, with and
without another write at that moment: the file or its proven copy always exists, and no written bytes are lost.

One process has a file for each step, and each file stops before its step: one kill is a kill at every step.
"""

import asyncio
import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from mirrord.planning.decisions.file_removal import QUARANTINE, quarantine_name
from tests.support.command import REPOSITORY
from tests.support.daemon import running
from tests.support.inbox import files_below, manifest, objects
from tests.support.measuring import SOAK
from tests.support.stepping import Stepping
from tests.support.weed import Server

STEPS = 13
"""More steps than any action has: files that do not stop prove that all steps were covered."""
WRITERS = ("none", "anew", "appends", "long")
PATIENCE = 60.0
WAYS = [("delete", True), ("delete", False), ("move", True), ("move across file systems", True)]
if SOAK:
    WAYS += [("move", False), ("move across file systems", False)]
FIRST = b"first "


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def name_of(step: int, writer: str) -> str:
    tail = "-" + "x" * 230 if writer == "long" else ""
    return f"{step:02}-{writer}{tail}.csv"


NAMES = {name_of(step, writer): writer for step in range(1, STEPS + 1) for writer in WRITERS}


class Folder:
    """The folder, the target directory of `move`, and all contents that each file ever had."""

    def __init__(self, home: Path, server: Server, bucket: str, after: str) -> None:
        self.inbox, self.done = home / "inbox", home / "done"
        self.inbox.mkdir()
        self.written = {name: [FIRST + name.encode()] for name in NAMES}
        self.latest = {name: FIRST + name.encode() for name in NAMES}
        for name, content in self.latest.items():
            (self.inbox / name).write_bytes(content)
        fields: dict[str, Any] = {"settle": "20ms", "rescan": "500ms"}
        fields["after_upload"] = "delete" if after == "delete" else {"move": str(self.done)}
        self.file = home / "m.yaml"
        text = manifest(server, self.inbox, bucket, **fields)
        self.file.write_text(f"daemon: {{transfers: {len(NAMES) + 20}}}\n{text}")

    def files(self) -> list[Path]:
        return files_below(self.inbox)

    def contents(self, name: str) -> list[bytes]:
        """All present contents of the file: in the folder, in quarantine and in the target directory."""
        stem = name.removesuffix(".csv")
        found = [
            self.inbox / name,
            self.inbox / quarantine_name(name),
            self.inbox / name,
            *self.done.glob(f"{stem[:200]}*"),
        ]
        return [content for path in found if (content := read(path)) is not None]

    def lost(self, name: str, client: Any, bucket: str) -> bool:
        """Whether neither the file nor its object has a content that was written."""
        for _ in range(3):  # a rename may be in progress
            if any(content.startswith(self.written[name][0]) for content in self.contents(name)):
                return False
        return objects(client, bucket).get(name) not in {md5(content) for content in self.written[name]}

    def write(self, name: str, writer: str, kept: ExitStack) -> IO[bytes] | None:
        """Write the file again; a writer that appends keeps it open."""
        path = self.inbox / name
        if writer == "anew":
            self.note(name, b"anew, and longer than before " + name.encode())
            path.write_bytes(self.latest[name])
        elif writer == "appends":
            more = b"appended to " + name.encode()
            self.note(name, (read(path) or b"") + more)
            stream = kept.enter_context(path.open("ab", buffering=0))
            stream.write(more)
            return stream
        return None

    def note(self, name: str, content: bytes) -> None:
        self.latest[name] = content
        self.written[name].append(content)


def read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


@contextmanager
def loss_detector(folder: Folder, watched: set[str], server: Server, bucket: str) -> Iterator[list[str]]:
    """Verify all the time that each watched file or its object exists; yields the names of lost files."""
    lost: list[str] = []
    stop, client = threading.Event(), server.client()

    def watch() -> None:
        while not stop.is_set():
            hidden = [name for name in tuple(watched) if not folder.contents(name)]
            copies = objects(client, bucket) if hidden else {}
            lost.extend(name for name in hidden if copies.get(name) != md5(folder.written[name][0]))
            stop.wait(0.02)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield lost
    finally:
        stop.set()
        thread.join()
        client.close()


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("after", "killed"), WAYS)
async def test_at_each_step_the_file_or_its_proven_copy_exists(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any, after: str, killed: bool
) -> None:
    folder = Folder(tmp_path, weed, bucket, after)
    stepping = Stepping(tmp_path / "stepping", across=after.endswith("systems"))
    env = {"PYTHONPATH": f"{stepping.directory}{os.pathsep}{REPOSITORY}"}
    watched = set(NAMES)
    with ExitStack() as kept, loss_detector(folder, watched, weed, bucket) as lost:
        async with running(tmp_path, str(folder.file), env=env) as daemon:
            await daemon.wait_for(
                lambda: stepping.stopped().keys() | stepping.ended() >= NAMES.keys(), PATIENCE, "all at their steps"
            )
            stopped = stepping.stopped()
            if killed:
                await daemon.kill()
            assert stepping.ended() - stopped.keys(), "files without a stop prove that every step was covered"
            assert [name for name in NAMES if folder.lost(name, s3_client, bucket)] == []
            watched -= {name for name, writer in NAMES.items() if writer in ("anew", "appends")}
            streams = {name: folder.write(name, writer, kept) for name, writer in NAMES.items() if name in stopped}
            if not killed:
                stepping.release()
                await finished(daemon, folder, streams)
        if killed:
            stepping.end()
            async with running(tmp_path, str(folder.file), env=env) as daemon:
                await finished(daemon, folder, streams)
    assert lost == []
    listed = objects(s3_client, bucket)
    assert {name: listed.get(name) for name in NAMES} == {name: md5(folder.latest[name]) for name in NAMES}
    assert listed.keys() == NAMES.keys()
    assert list(folder.inbox.rglob("*")) == []
    if after != "delete":
        moved = sorted(path.read_bytes() for path in folder.done.rglob("*"))
        assert set(moved) >= set(folder.latest.values()), "the last written content was moved"
        assert set(moved) <= {content for written in folder.written.values() for content in written}
        assert len(moved) == len(set(moved)), "and nothing twice"
        assert not list(folder.done.glob(f"{QUARANTINE}*"))


async def finished(daemon: Any, folder: Folder, streams: dict[str, IO[bytes] | None]) -> None:
    """Writers with an open file write again and close it; then all files are removed."""
    await daemon.wait_for(
        lambda: len(folder.files()) <= sum(map(bool, streams.values())), PATIENCE, "the rest to leave"
    )
    for name, stream in streams.items():
        if stream is not None:
            await asyncio.to_thread(stream.write, b", twice")
            folder.note(name, folder.latest[name] + b", twice")
            stream.close()
    await daemon.wait_for(lambda: not folder.files(), PATIENCE, "all to leave")
