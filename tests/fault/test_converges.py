"""Any sequence of edits, faults, kills and restarts converges to the manifests and is then quiet (property test).

Two manifests with mirrors (fallbacks, sources in the store, options, `prune`, `suspend`, `overwrite`, `drift`), a list
at a URL or in a file, and a folder; other programs write objects, also between a check and its write. The rules are
checked at each write and deletion, the end state after the last pass. MIRRORD_SOAK=1 makes many more examples. A
failure prints the steps and the line that repeats it.
"""

import os
import shutil
import sqlite3
import tempfile
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mirrord.errors import Reason, SourceUnavailable
from mirrord.model import META_TRANSFER
from tests.support.converging import BUCKET, SOURCES, FastClock, Fault, Passes
from tests.support.converging_edits import (
    CONTENTS,
    EDITS,
    FAULTS,
    KEYS,
    LIST_KEYS,
    MORE_ROWS,
    ROWS,
    STORED,
    URLS,
)
from tests.support.converging_manifests import FILES, LIST, LOCAL_LIST, STORES, Entry, Manifests
from tests.support.measuring import SOAK

DAY = 86_400.0
IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""A disk takes ten times as long for the commits of so many passes."""


class Convergence(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="converges-", dir=IN_MEMORY))
        self.folder = self.home / "in"
        self.folder.mkdir()
        (self.folder / "always").write_bytes(b"a folder that is empty deletes nothing")
        self.files: dict[str, bytes] = {}
        self.passes = Passes(self.home, self)
        self.now = Manifests()
        self.held: dict[str, set[bool]] = {}
        """By key: what `prune` was, in the versions that passes may have recorded."""
        self.mirrored = False
        self.touched: set[str] = set()
        """Keys at which another program wrote or deleted something."""
        self.last: dict[str, tuple[str, bool]] = {}
        """By key: its file and `prune` in the last pass that ended."""
        self.deleted = Counter[str]()
        """Of the list, in one pass; the guard allows ten."""
        self.may_delete_all = False
        self.theirs: dict[str, bytes] = {}
        """Objects of other programs that no manifest ever named."""

    @initialize(filled=st.sampled_from([True, True, False]))
    def begin(self, filled: bool) -> None:
        (self.passes.manifests / "stores.yaml").write_text(STORES)
        for number, url in enumerate(URLS):
            self.passes.origins.publish(url, CONTENTS[1 + number % 2])
        self.change_source(STORED, b"stored")
        for row in (*ROWS, *MORE_ROWS):
            self.passes.origins.publish(f"http://h0/{row}", row.encode())
        for key in ("m/other", "l/other", "f/other"):
            self.theirs[key] = b"theirs"
            self.passes.store.put_theirs(key, b"theirs", "stranger" if key == "f/other" else None)
        self.write()
        if filled:
            self._fill()

    def _fill(self) -> None:
        """All objects are there, and go when their items leave."""
        for number, key in enumerate(KEYS):
            self.add(key, [URLS[number]], FILES[number % 2], prune=True, overwrite="always", drift="repair")
        self.change_list(set(ROWS), more=True, prune=True, local=False, bad=False)
        self.change_folder("mirror")
        self.change_file("f0", b"one")
        self._pass()

    def write(self) -> None:
        for name in FILES:
            (self.passes.manifests / name).write_text(self.now.text(name))
        if self.now.rows is not None:
            lines = [f"http://h0/{row}" for row in self.now.rows] + ["ftp://h0/bad"] * self.now.bad_row
            content = "".join(f"{line}\n" for line in lines).encode()
            self.passes.origins.publish(LIST, content)
            (self.home / "l.txt").write_bytes(content)

    # ── rules ─────────────────────────────────────────────────────────────────────────────────────
    def may_write(self, key: str, *, foreign: bool, same: bool) -> None:
        assert not same, f"{key} has this revision"
        assert key not in self.theirs, f"{key} is of another program"
        entry = self.now.entries.get(key)
        assert entry is None or entry.overwrite != "never", f"{key}: overwrite is never"
        assert not foreign or entry is None or entry.overwrite != "owned", f"{key}: overwrite is owned"
        assert key[0] != "m" or entry is not None, f"{key} is in no manifest"
        assert entry is None or not entry.suspend, f"{key} is suspended"

    def has_begun(self, transfer_id: str) -> None:
        """After a kill the journal must know what the store may hold."""
        with closing(sqlite3.connect(f"file:{self.passes.state}/state.db?mode=ro", uri=True)) as journal:
            known = journal.execute("SELECT 1 FROM transfers WHERE id = ?", (transfer_id,)).fetchone()
        assert known, f"{transfer_id} is written and not in the journal"

    def may_delete(self, key: str, *, ours: bool) -> None:
        assert ours, f"{key} is of another program"
        assert not self.now.wants(key), f"{key} is in a manifest"
        self.deleted[key[0]] += 1
        assert self.deleted["l"] <= 10 or self.may_delete_all, "the guard"
        if key.startswith("f/"):
            assert self.mirrored, f"{key}: delete is keep"
            assert key.removeprefix("f/") not in self.files, f"{key}: its file exists"
        else:
            assert True in self.held.get(key, ()), f"{key}: no version had prune"

    # ── edits ─────────────────────────────────────────────────────────────────────────────────────
    def add(self, key: str, urls: list[str], file: str, prune: bool, overwrite: str, drift: str) -> None:
        name = self.now.entries[key].name if key in self.now.entries else f"entry {key}"
        self.now.entries[key] = Entry(name, tuple(urls), file, prune, overwrite=overwrite, drift=drift)
        self.write()

    def remove(self, key: str) -> None:
        self.now.entries.pop(key, None)
        self.write()

    def replace_and_remove(self, key: str, same: bool) -> None:
        """Another program writes the object before mirrord sees that its entry left."""
        kept = self.passes.store.buckets[BUCKET].get(key)
        self.another_program_writes(key, kept.content if kept is not None and same else b"theirs")
        self.remove(key)

    def move_to_another_key(self, keys: list[str]) -> None:
        """The entry keeps its name."""
        if keys[0] in self.now.entries and keys[1] not in self.now.entries:
            self.now.entries[keys[1]] = self.now.entries.pop(keys[0])
            self.write()

    def rename(self, key: str, number: int) -> None:
        self._change(key, name=f"entry {key} {number}")

    def move_to_another_file(self, key: str, file: str) -> None:
        self._change(key, file=file)

    def change_options(self, key: str, value: str | None) -> None:
        self._change(key, cache_control=value)

    def suspend(self, key: str, suspend: bool) -> None:
        self._change(key, suspend=suspend)

    def change_prune(self, key: str, prune: bool) -> None:
        self._change(key, prune=prune)

    def _change(self, key: str, **fields: Any) -> None:
        if key in self.now.entries:
            self.now.entries[key] = replace(self.now.entries[key], **fields)
            self.write()

    def change_list(self, rows: set[str] | None, more: bool, prune: bool, local: bool, bad: bool) -> None:
        self.now.rows = None if rows is None else (*sorted(rows), *(MORE_ROWS if more else ()))
        self.now.list_at, self.now.list_prunes, self.now.bad_row = LOCAL_LIST if local else LIST, prune, bad
        self.passes.origins.cut(LIST, short=False)
        self.write()

    def cut_list(self) -> None:
        self.passes.origins.cut(LIST, short=True)

    def break_files(self, broken: set[str]) -> None:
        self.now.broken = frozenset(broken)
        self.write()

    def change_folder(self, delete: str | None) -> None:
        self.now.folder = delete
        self.write()

    def change_file(self, name: str, content: bytes | None) -> None:
        if content is None:
            (self.folder / name).unlink(missing_ok=True)
            self.files.pop(name, None)
        else:
            (self.folder / name).write_bytes(content)
            self.files[name] = content

    def rename_file(self, names: list[str]) -> None:
        if names[0] in self.files:
            (self.folder / names[0]).rename(self.folder / names[1])
            self.files[names[1]] = self.files.pop(names[0])

    # ── the world ─────────────────────────────────────────────────────────────────────────────────
    def change_source(self, url: str, content: bytes | None) -> None:
        if url != STORED:
            self.passes.origins.publish(url, content)
        elif content is None:
            self.passes.store.buckets[SOURCES].pop("u4", None)
        else:
            self.passes.store.put_theirs("u4", content, bucket=SOURCES)

    def _content(self, url: str) -> bytes | None:
        if url != STORED:
            return self.passes.origins.sources[url].content
        kept = self.passes.store.buckets[SOURCES].get("u4")
        return None if kept is None else kept.content

    def source_fails(self, url: str) -> None:
        self.passes.origins.fail(url, SourceUnavailable("503"))

    def source_breaks_off(self, url: str) -> None:
        self.passes.origins.cut(url, short=True)

    def sources_are_well(self) -> None:
        for url in [*URLS, LIST]:
            self.passes.origins.fail(url, None)
            self.passes.origins.cut(url, short=False)

    def another_program_writes(self, key: str, content: bytes | None) -> None:
        self.written_by_another(key)
        if content is None:
            self.passes.store.buckets[BUCKET].pop(key, None)
        else:
            self.passes.store.put_theirs(key, content)

    def written_by_another(self, key: str) -> None:
        self.touched.add(key)

    def file_is_edited(self) -> None:
        """While a pass runs."""
        self.change_file("f0", b"edited meanwhile")

    # ── passes ────────────────────────────────────────────────────────────────────────────────────
    @rule(edits=st.lists(EDITS, max_size=3), faults=st.just([]) | st.lists(FAULTS, max_size=2))
    def sync(self, edits: list[tuple[str, dict[str, Any]]], faults: list[Fault]) -> None:
        for name, arguments in edits:
            getattr(self, name)(**arguments)
        self.passes.store.faults = [replace(fault) for fault in faults]
        self._pass()
        self.passes.store.faults = []

    def _pass(self) -> Any:
        FastClock.ahead += 3600.0
        self.mirrored = self.mirrored or (self.now.folder == "mirror" and FILES[1] not in self.now.broken)
        wanted = {key: self.now.prunes(key) for key in (*KEYS, *LIST_KEYS)}
        for key, prune in wanted.items():
            if prune is not None:
                self.held.setdefault(key, set()).add(prune)
        self.deleted.clear()
        report = self.passes.run(1.0 if self.may_delete_all else None)
        if report is not None:
            for key, prune in wanted.items():
                if prune is not None:
                    entry = self.now.entries.get(key)
                    self.held[key] = {prune}
                    if entry is None:
                        self.last[key] = FILES[0], prune
                    else:
                        self.last[key] = entry.file, prune and not entry.suspend
        return report

    @invariant()
    def objects_of_other_programs_stay(self) -> None:
        for key, content in self.theirs.items():
            assert self.passes.store.buckets[BUCKET][key].content == content, key

    def teardown(self) -> None:
        try:
            self._converges()
        finally:
            shutil.rmtree(self.home)

    # ── the end ───────────────────────────────────────────────────────────────────────────────────
    def _converges(self) -> None:
        self.sources_are_well()
        if self.now.broken:
            for _ in range(2):
                report = self._pass()
            self._has_pruned(self._guarded(report))
        self.now.broken, self.now.bad_row = frozenset(), False
        self.write()
        for _ in range(3):
            report = self._pass()
            FastClock.ahead += DAY
        before = self.passes.store.changes
        for _ in range(2):
            report = self._pass()
        assert self.passes.store.changes == before, "it is not quiet"
        assert not self.passes.store.uploads, "an upload is open"
        blocked = {one.item.destination.key: str(one.outcome.reason) for one in report.left}
        guarded = self._guarded(report)
        for key in blocked.keys() - guarded:
            self._may_be_blocked(key, blocked[key])
        self._has_pruned(guarded)
        for key, entry in self.now.entries.items():
            self._is_as_desired(key, entry, key in blocked)
        for row in self.now.rows or ():
            self._has(f"l/{row}", row.encode())
        for name, content in self.files.items() if self.now.folder else ():
            self._has(f"f/{name}", content)
        self.may_delete_all = True
        self._pass()
        self._has_pruned(frozenset())

    def _guarded(self, report: Any) -> frozenset[str]:
        """The objects of the list that the guard keeps; a report names the first."""
        keys = [one.item.destination.key for one in report.left if one.outcome.reason is Reason.PRUNE_GUARD]
        if not any(key.startswith("l/") for key in keys):
            return frozenset()
        left = frozenset(
            key for key in LIST_KEYS if key in self.passes.store.buckets[BUCKET] and not self.now.wants(key)
        )
        assert len(left) > 10, "the guard is for more than ten"
        return left

    def _is_as_desired(self, key: str, entry: Entry, blocked: bool) -> None:
        sources = [self._content(url) for url in entry.urls]
        if entry.suspend or blocked or not any(one is not None for one in sources):
            return
        if key in self.touched and entry.drift == "ignore":
            return
        kept = self.passes.store.buckets[BUCKET].get(key)
        assert kept is not None, f"{key} is missing"
        assert kept.content in sources, f"{key} has other bytes"
        if META_TRANSFER in kept.stored.metadata:
            assert kept.options.cache_control == entry.cache_control, f"{key} has other options"

    def _may_be_blocked(self, key: str, reason: str) -> None:
        entry = self.now.entries[key]
        sources = [self._content(url) for url in entry.urls]
        expected = {"SourceMissing"} if None in sources else set()
        expected |= {"Conflict"} if entry.overwrite != "always" else set()
        expected |= {"Drifted"} if entry.drift == "report" and key in self.touched else set()
        assert entry.suspend or reason in expected, f"{key} is Blocked: {reason}"

    def _has_pruned(self, guarded: frozenset[str]) -> None:
        """What left by the word of its own file is deleted, unless another program wrote there."""
        for key, (file, prunes) in self.last.items():
            kept = self.passes.store.buckets[BUCKET].get(key)
            if (
                prunes
                and self._says(key, file)
                and kept is not None
                and not self.now.wants(key)
                and key not in self.touched | guarded
            ):
                assert META_TRANSFER not in kept.stored.metadata, f"{key} left with prune and is not deleted"

    def _says(self, key: str, file: str) -> bool:
        """Whether the file, or the list, is there and is not empty, and no invalid file may have its entries."""
        if file in self.now.broken or any("s3:" in self.now.text(broken) for broken in self.now.broken):
            return False
        if key[0] == "l" and self.now.bad_row:
            return False
        if key[0] == "l" and self.now.rows is not None:
            return bool(self.now.rows)
        has_list = file == FILES[0] and self.now.rows is not None
        has_folder = file == FILES[1] and self.now.folder is not None
        return has_list or has_folder or any(one.file == file for one in self.now.entries.values())

    def _has(self, key: str, content: bytes) -> None:
        kept = self.passes.store.buckets[BUCKET].get(key)
        assert kept is not None, f"{key} is missing"
        assert kept.content == content, f"{key} has other bytes"


TestConvergence = pytest.mark.timeout(7200 if SOAK else 120)(Convergence.TestCase)
TestConvergence.settings = settings(
    max_examples=2_000 if SOAK else 20,
    stateful_step_count=20 if SOAK else 10,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
