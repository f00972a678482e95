"""Random operations of several writers on a watched folder, with a model: at the end the bucket equals the folder.

Each writer has its own directory and a model of it, to which it applies every operation. 3,000 operations over
three seeds, 100,000 with MIRRORD_SOAK=1; MIRRORD_SEED=n repeats one seed. The seed determines the operations of each
writer, but not how the writers and mirrord interleave.
"""

import asyncio
import os
import random
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import Daemon, running
from tests.support.inbox import Sums, emptied, manifest, md5, objects, tree
from tests.support.measuring import SOAK
from tests.support.weed import Server

OPERATIONS = 100_000 if SOAK else 3_000
SEEDS = [int(os.environ["MIRRORD_SEED"])] if "MIRRORD_SEED" in os.environ else [11, 2026, 714_025]
WRITERS = 4
RESCAN, SETTLE = 2.0, 0.2
PAUSE, REST = 0.004, 0.3
"""Seconds between two operations of a writer: usual and occasional pause. In the latter some files settle."""
DRAIN = 600.0 if SOAK else 60.0
"""Time-out in seconds until all queued files are sent, on a busy machine."""


class Writer(threading.Thread):
    """Makes random operations below `home` and applies them to `files` (contents by path) and `directories`."""

    def __init__(self, home: Path, seed: int, operations: int) -> None:
        super().__init__(name=home.name, daemon=True)
        self._home = home
        self._chance = random.Random(seed)
        self._operations = operations
        self.files: dict[Path, bytes] = {}
        self.directories = [home]
        self.done: Counter[str] = Counter()
        home.mkdir()

    def run(self) -> None:
        kinds: dict[Callable[[], bool], int] = {
            self._create: 29,
            self._append: 20,
            self._truncate: 10,
            self._rename: 12,
            self._delete: 11,
            self._mkdir: 6,
            self._rmdir: 1,
            self._rename_directory: 1,
            self._chmod: 10,
        }
        draw, weights = list(kinds), list(kinds.values())
        while self.done.total() < self._operations:
            (operation,) = self._chance.choices(draw, weights)
            if operation():
                self.done[operation.__name__] += 1
                time.sleep(REST if self._chance.random() < 0.02 else PAUSE)
        for path in self.files:
            path.chmod(0o644)

    def _some_file(self) -> Path | None:
        return self._chance.choice(list(self.files)) if self.files else None

    def _free_path(self) -> Path:
        return self._chance.choice(self.directories) / f"f{self._chance.randrange(40)}"

    def _content(self) -> bytes:
        return self._chance.randbytes(self._chance.choice((0, 1, 100, 5_000, 60_000)))

    def _create(self) -> bool:
        """Write a new file or overwrite an old one, in one or several pieces."""
        path, content = self._free_path(), self._content()
        if path in self.directories:
            return False
        half = len(content) // 2
        with path.open("wb", buffering=0) as file:
            file.write(content[:half])
            if self._chance.random() < 0.1:
                time.sleep(PAUSE * 5)
            file.write(content[half:])
        self.files[path] = content
        return True

    def _append(self) -> bool:
        if (path := self._some_file()) is None:
            return False
        more = self._content()
        with path.open("ab", buffering=0) as file:
            file.write(more)
        self.files[path] += more
        return True

    def _truncate(self) -> bool:
        if (path := self._some_file()) is None:
            return False
        length = self._chance.randrange(len(self.files[path]) + 1)
        os.truncate(path, length)
        self.files[path] = self.files[path][:length]
        return True

    def _rename(self) -> bool:
        """Rename a file to a new name or over another file."""
        path, other = self._some_file(), self._free_path()
        if path is None or other in self.directories or path == other:
            return False
        path.rename(other)
        self.files[other] = self.files.pop(path)
        return True

    def _delete(self) -> bool:
        if (path := self._some_file()) is None:
            return False
        path.unlink()
        del self.files[path]
        return True

    def _mkdir(self) -> bool:
        path = self._chance.choice(self.directories) / f"d{self._chance.randrange(6)}"
        if path in self.directories or len(path.parts) - len(self._home.parts) > 4:
            return False
        path.mkdir()
        self.directories.append(path)
        return True

    def _rmdir(self) -> bool:
        """Rename or delete a directory with its contents."""
        path = self._chance.choice(self.directories)
        if path == self._home:
            return False
        shutil.rmtree(path)
        self._move_model(path, None)
        return True

    def _rename_directory(self) -> bool:
        path = self._chance.choice(self.directories)
        other = self._chance.choice(self.directories) / f"d{self._chance.randrange(6)}"
        if path == self._home or other in self.directories or other.is_relative_to(path):
            return False
        path.rename(other)
        self._move_model(path, other)
        return True

    def _chmod(self) -> bool:
        if (path := self._some_file()) is None:
            return False
        path.chmod(self._chance.choice((0o600, 0o644, 0o640)))
        return True

    def _move_model(self, path: Path, other: Path | None) -> None:
        """In the model: move everything below `path` to `other`, or delete it."""
        files = {one: content for one, content in self.files.items() if one.is_relative_to(path)}
        directories = [one for one in self.directories if one.is_relative_to(path)]
        self.files = {one: content for one, content in self.files.items() if one not in files}
        self.directories = [one for one in self.directories if one not in directories]
        if other is not None:
            self.files |= {other / one.relative_to(path): content for one, content in files.items()}
            self.directories += [other / one.relative_to(path) for one in directories]

    def sums(self, root: Path) -> Sums:
        return {str(path.relative_to(root)): md5(content) for path, content in self.files.items()}


@pytest.fixture
def own_bucket(s3_client: Any, bucket: str) -> Iterator[str]:
    yield bucket
    emptied(s3_client, bucket)


@pytest.mark.timeout(1800 if SOAK else 240)
@pytest.mark.parametrize("seed", SEEDS)
async def test_the_bucket_is_the_tree(seed: int, tmp_path: Path, weed: Server, own_bucket: str, s3_client: Any) -> None:
    root, file = tmp_path / "inbox", tmp_path / "m.yaml"
    root.mkdir()
    file.write_text(manifest(weed, root, own_bucket, settle=f"{SETTLE}s", rescan=f"{RESCAN}s"))
    each = OPERATIONS // len(SEEDS) // WRITERS + 1
    writers = [Writer(root / f"w{number}", seed + number, each) for number in range(WRITERS)]
    async with running(tmp_path, str(file)) as daemon:
        began = time.monotonic()
        for writer in writers:
            writer.start()
        for writer in writers:
            await asyncio.to_thread(writer.join)
        wrote = time.monotonic() - began
        wanted = await asyncio.to_thread(tree, root)
        model = {name: one for writer in writers for name, one in writer.sums(root).items()}
        assert wanted == model, "the model differs from the folder"
        took = await _equal(s3_client, own_bucket, wanted, daemon)
        sent = len(daemon.logged("transfer.completed"))
    operations = sum((writer.done for writer in writers), Counter[str]())
    print(
        f"seed {seed}: {operations.total():,} operations in {wrote:.1f} s, {len(wanted)} files left, "
        f"all in the bucket {took:.1f} s later, {sent} transfers; {dict(operations)}"
    )


async def _equal(client: Any, bucket: str, wanted: Sums, daemon: Daemon) -> float:
    """Wait until the bucket has each of these contents; objects of former files may exist too (delete: keep)."""
    began = time.monotonic()
    while True:
        listed = await asyncio.to_thread(objects, client, bucket)
        wrong = {name for name, sum_ in wanted.items() if listed.get(name) != sum_}
        took = time.monotonic() - began
        if not wrong:
            return took
        assert took < RESCAN + SETTLE + DRAIN, f"{len(wrong)} files, as {sorted(wrong)[:5]}\n{daemon.output[-6000:]}"
        await asyncio.sleep(0.1)
