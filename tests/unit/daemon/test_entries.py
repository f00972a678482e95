"""The entries of the manifests in force: names, kinds, order, and what is shown of each."""

from pathlib import Path

from mirrord.daemon.entries import LastPass, entries_after, entry_status, last_passes
from mirrord.manifest.manifest import load_all
from mirrord.model import State
from mirrord.planning.items.expand import expand
from mirrord.status import EntryStatus, FolderStatus, ListStatus

MANIFEST = """
mirrors:
  - {name: geo, urls: ["https://h/a"], to: s3://bkt/geo}
  - {url: "https://h/b", to: s3://bkt/b}
  - {name: rows, list: rows.tsv, to: s3://bkt/rows/}
folders:
  - {name: inbox, path: /srv/inbox, to: s3://bkt/inbox/}
"""
NAMES = [("geo", "mirror"), ("inbox", "folder"), ("rows", "list"), ("s3://bkt/b", "mirror")]


def test_every_entry_once_by_name_in_pages(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(MANIFEST)
    loaded = load_all([str(tmp_path / "m.yaml")], {})
    expansion = expand(loaded)
    assert expansion.problems == ()
    assert entries_after(expansion, None, 10) == NAMES
    assert entries_after(expansion, None, 2) == NAMES[:2]
    assert entries_after(expansion, "geo", 2) == NAMES[1:3]
    assert entries_after(expansion, "gone meanwhile", 2) == NAMES[1:3], "the cursor need not be in force"
    assert entries_after(expansion, NAMES[-1][0], 2) == []


def test_what_is_shown_of_an_entry() -> None:
    passes = last_passes(
        [ListStatus(name="rows", source="rows.tsv", read_at=5.0, faults=("line 3: no URL",))],
        [
            FolderStatus(name="inbox", path="/in", watching="poll", last_scan=6.0),
            FolderStatus(name="away", path="/away", watching="poll", problem="no such directory"),
        ],
    )
    assert passes == {
        "rows": LastPass(5.0, ("line 3: no URL",)),
        "inbox": LastPass(6.0, ()),
        "away": LastPass(None, ("no such directory",)),
    }
    counted = ({State.SYNCED: 2, State.BLOCKED: 1}, 30)
    assert entry_status("rows", "list", counted, passes["rows"], 7.0) == EntryStatus(
        name="rows",
        kind="list",
        items=3,
        states={State.SYNCED: 2, State.BLOCKED: 1},
        size=30,
        last_pass=5.0,
        staleness=7.0,
        problems=("line 3: no URL",),
    )
    assert entry_status("geo", "mirror", ({}, 0), None, None) == EntryStatus(name="geo", kind="mirror", items=0)
