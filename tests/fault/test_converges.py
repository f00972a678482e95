"""Any sequence of edits, faults, kills and restarts converges to the manifests and is then quiet (property test).

Two manifests with mirrors (fallbacks, options, `prune`, `suspend`, `overwrite`, `drift`), a list at a URL and a folder;
other programs write objects. The rules are checked at each write and deletion, the end state after the last pass.
MIRRORD_SOAK=1 makes many more examples. A failure prints the steps and the line that repeats it.
"""

import json
import shutil
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mirrord.errors import SourceUnavailable
from mirrord.model import META_TRANSFER
from tests.support.converging import BUCKET, FastClock, Fault, Passes
from tests.support.measuring import SOAK

KEYS = [f"m/k{number}" for number in range(3)]
ROWS = [f"r{number}" for number in range(3)]
NAMES = [f"f{number}" for number in range(3)]
FILES = ("a.yaml", "b.yaml")
URLS = [f"http://h{number % 2}/u{number}" for number in range(4)]
LIST = "http://lists/l.txt"
STORES = "stores: {default: {provider: seaweedfs, endpoint_url: 'http://store:1'}}\n"
CONTENTS = [b"", b"one", b"two", b"a longer text of more than sixteen bytes", b"x" * (6 << 20)]
DAY = 86_400.0


def _edit(method: str, /, **arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    """A call of this method of `Convergence`."""
    return st.tuples(st.just(method), st.fixed_dictionaries(arguments))


EDITS = st.one_of(
    _edit(
        "add",
        key=st.sampled_from(KEYS),
        urls=st.lists(st.sampled_from(URLS), min_size=1, max_size=2, unique=True),
        file=st.sampled_from(FILES),
        prune=st.booleans(),
        overwrite=st.sampled_from(["always", "always", "owned", "never"]),
        drift=st.sampled_from(["repair", "repair", "report", "ignore"]),
    ),
    _edit("remove", key=st.sampled_from(KEYS)),
    _edit("move_to_another_key", keys=st.lists(st.sampled_from(KEYS), min_size=2, max_size=2, unique=True)),
    _edit("rename", key=st.sampled_from(KEYS), number=st.integers(0, 1)),
    _edit("move_to_another_file", key=st.sampled_from(KEYS), file=st.sampled_from(FILES)),
    _edit("change_options", key=st.sampled_from(KEYS), value=st.sampled_from([None, "no-store"])),
    _edit("suspend", key=st.sampled_from(KEYS), suspend=st.booleans()),
    _edit("change_prune", key=st.sampled_from(KEYS), prune=st.booleans()),
    _edit(
        "change_list",
        rows=st.none() | st.sets(st.sampled_from(ROWS)),
        prune=st.booleans(),
        bad=st.sampled_from([False, False, True]),
    ),
    _edit("cut_list"),
    _edit("break_files", broken=st.sets(st.sampled_from(FILES))),
    _edit("change_folder", delete=st.sampled_from([None, "keep", "mirror", "mirror"])),
    _edit("change_file", name=st.sampled_from(NAMES), content=st.none() | st.sampled_from(CONTENTS)),
    _edit("rename_file", names=st.lists(st.sampled_from(NAMES), min_size=2, max_size=2, unique=True)),
    _edit("change_source", url=st.sampled_from(URLS), content=st.none() | st.sampled_from(CONTENTS)),
    _edit("source_fails", url=st.sampled_from([*URLS, LIST])),
    _edit("source_breaks_off", url=st.sampled_from(URLS)),
    _edit("sources_are_well"),
    _edit(
        "another_program_writes",
        key=st.sampled_from([*KEYS, "l/r0", "f/f0"]),
        content=st.none() | st.sampled_from(CONTENTS[:3]),
    ),
)
FAULTS = st.builds(
    Fault, st.sampled_from(["503", "403", "lost", "lost", "kill before", "kill after"]), st.integers(0, 12)
)


@dataclass(frozen=True)
class Entry:
    """One mirror, as the model writes it."""

    name: str
    urls: tuple[str, ...]
    file: str = FILES[0]
    prune: bool = False
    suspend: bool = False
    overwrite: str = "always"
    drift: str = "repair"
    cache_control: str | None = None

    def as_yaml(self, key: str) -> dict[str, Any]:
        source = {"url": self.urls[0]} if len(self.urls) == 1 else {"urls": list(self.urls)}
        return {
            **source,
            "to": f"s3://{BUCKET}/{key}",
            "name": self.name,
            "prune": self.prune,
            "suspend": self.suspend,
            "overwrite": self.overwrite,
            "drift": self.drift,
            "upload": {"multipart_threshold": "5MiB", "part_size": "5MiB"},
            **({"object": {"cache_control": self.cache_control}} if self.cache_control else {}),
        }


@dataclass
class Manifests:
    """What the files say now. `broken`: files that are invalid."""

    entries: dict[str, Entry] = field(default_factory=dict)
    rows: tuple[str, ...] | None = None
    """None: there is no list."""
    list_prunes: bool = False
    bad_row: bool = False
    folder: str | None = None
    """Its `delete`; None: there is no folder."""
    broken: frozenset[str] = frozenset()

    def text(self, file: str) -> str:
        mirrors = [one.as_yaml(key) for key, one in self.entries.items() if one.file == file]
        if file == FILES[0] and self.rows is not None:
            mirrors.append({"list": LIST, "to": f"s3://{BUCKET}/l/", "name": "rows", "prune": self.list_prunes})
        text = f"mirrors: {json.dumps(mirrors)}\n"
        if file == FILES[1] and self.folder is not None:
            options = {"path": "../in", "to": f"s3://{BUCKET}/f/", "name": "in", "settle": "1ms", "delete": self.folder}
            text += f"folders: {json.dumps([options])}\n"
        return text + ("nonsense: [\n" if file in self.broken else "")

    def wants(self, key: str) -> bool:
        """Whether any file names the key, also one that is invalid."""
        return key in self.entries or (self.rows is not None and key.removeprefix("l/") in self.rows and key[0] == "l")

    def prunes(self, key: str) -> bool | None:
        """As the files say that are valid; None: they do not name it."""
        entry = self.entries.get(key)
        if entry is not None:
            return None if entry.file in self.broken else entry.prune
        return self.list_prunes if self.wants(key) and FILES[0] not in self.broken else None


class Convergence(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="converges-"))
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
        self.theirs: dict[str, bytes] = {}
        """Objects of other programs that no manifest ever named."""

    @initialize()
    def begin(self) -> None:
        (self.passes.manifests / "stores.yaml").write_text(STORES)
        for number, url in enumerate(URLS):
            self.passes.origins.publish(url, CONTENTS[1 + number % 2])
        for row in ROWS:
            self.passes.origins.publish(f"http://h0/{row}", row.encode())
        for key in ("m/other", "l/other", "f/other"):
            self.theirs[key] = b"theirs"
            self.passes.store.put_theirs(key, b"theirs", "stranger" if key == "f/other" else None)
        self.write()

    def write(self) -> None:
        for name in FILES:
            (self.passes.manifests / name).write_text(self.now.text(name))
        if self.now.rows is not None:
            lines = [f"http://h0/{row}" for row in self.now.rows] + ["ftp://h0/bad"] * self.now.bad_row
            self.passes.origins.publish(LIST, "".join(f"{line}\n" for line in lines).encode())

    # ── rules ─────────────────────────────────────────────────────────────────────────────────────
    def may_write(self, key: str, *, foreign: bool) -> None:
        assert key not in self.theirs, f"{key} is of another program"
        entry = self.now.entries.get(key)
        assert entry is None or entry.overwrite != "never", f"{key}: overwrite is never"
        assert not foreign or entry is None or entry.overwrite != "owned", f"{key}: overwrite is owned"
        assert key[0] != "m" or entry is not None, f"{key} is in no manifest"
        assert entry is None or not entry.suspend, f"{key} is suspended"

    def may_delete(self, key: str, *, ours: bool) -> None:
        assert ours, f"{key} is of another program"
        assert not self.now.wants(key), f"{key} is in a manifest"
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

    def change_list(self, rows: set[str] | None, prune: bool, bad: bool) -> None:
        self.now.rows, self.now.list_prunes = None if rows is None else tuple(sorted(rows)), prune
        self.now.bad_row = bad
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
        self.passes.origins.publish(url, content)

    def source_fails(self, url: str) -> None:
        self.passes.origins.fail(url, SourceUnavailable("503"))

    def source_breaks_off(self, url: str) -> None:
        self.passes.origins.cut(url, short=True)

    def sources_are_well(self) -> None:
        for url in [*URLS, LIST]:
            self.passes.origins.fail(url, None)
            self.passes.origins.cut(url, short=False)

    def another_program_writes(self, key: str, content: bytes | None) -> None:
        self.touched.add(key)
        if content is None:
            self.passes.store.buckets[BUCKET].pop(key, None)
        else:
            self.passes.store.put_theirs(key, content)

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
        wanted = {key: self.now.prunes(key) for key in (*KEYS, *(f"l/{row}" for row in ROWS))}
        for key, prune in wanted.items():
            if prune is not None:
                self.held.setdefault(key, set()).add(prune)
        report = self.passes.run()
        if report is not None:
            for key, prune in wanted.items():
                if prune is not None:
                    entry = self.now.entries.get(key)
                    self.held[key], self.last[key] = {prune}, (entry.file if entry else FILES[0], prune)
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
        for key, reason in blocked.items():
            self._may_be_blocked(key, reason)
        self._has_pruned()
        for key, entry in self.now.entries.items():
            self._is_as_desired(key, entry, key in blocked)
        for row in self.now.rows or ():
            self._has(f"l/{row}", row.encode())
        for name, content in self.files.items() if self.now.folder else ():
            self._has(f"f/{name}", content)

    def _is_as_desired(self, key: str, entry: Entry, blocked: bool) -> None:
        sources = [self.passes.origins.sources[url].content for url in entry.urls]
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
        sources = [self.passes.origins.sources[url].content for url in entry.urls]
        expected = {"SourceMissing"} if None in sources else set()
        expected |= {"Conflict"} if entry.overwrite != "always" else set()
        expected |= {"Drifted"} if entry.drift == "report" and key in self.touched else set()
        assert entry.suspend or reason in expected, f"{key} is Blocked: {reason}"

    def _has_pruned(self) -> None:
        """What left by the word of its own file is deleted, unless another program wrote there."""
        for key, (file, prunes) in self.last.items():
            kept = self.passes.store.buckets[BUCKET].get(key)
            if (
                prunes
                and self._says(key, file)
                and kept is not None
                and not self.now.wants(key)
                and key not in self.touched
            ):
                assert META_TRANSFER not in kept.stored.metadata, f"{key} left with prune and is not deleted"

    def _says(self, key: str, file: str) -> bool:
        """Whether the file, or the list, is there and is not empty."""
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
