"""The entries in force as the rules of leaving items need them: who prunes, what is not known, which files say so."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mirrord.manifest.manifest import load_all
from mirrord.planning.decisions.leaving import EntryInForce, LoadedEntries
from mirrord.planning.items.entries_in_force import entries_in_force, files_with_entries
from mirrord.planning.items.expand import Expansion, expand

Load = Callable[..., Expansion]


@pytest.fixture
def expanded(tmp_path: Path) -> Load:
    def write(text: str) -> Expansion:
        (tmp_path / "m.yaml").write_text(text)
        loaded = load_all([str(tmp_path / "m.yaml")], {})
        assert loaded.problems == ()
        return expand(loaded)

    return write


def entries(expansion: Expansion, *incomplete: str) -> LoadedEntries:
    return entries_in_force(
        expansion, files=(), identity=lambda _: "/m.yaml", stores={}, incomplete=incomplete, invalid=()
    )


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", {"prunes": True, "every": 3600.0}),
        (", prune: true", {"prunes": True, "every": 3600.0}),
        (", prune: {max: 25%}", {"prunes": True, "most": 0.25, "every": 3600.0}),
        (", prune: false", {"every": 3600.0}),
        (", suspend: true", {"prunes": True, "suspended": True, "every": 3600.0}),
        (", every: 1m", {"prunes": True, "every": 60.0}),
        (", every: never", {"prunes": True}),
    ],
)
def test_an_entry_as_its_file_says(expanded: Load, options: str, expected: dict[str, object]) -> None:
    both = "mirrors: [{url: https://h/a, to: s3://bbb/x, name: one%s}, {list: u.txt, to: s3://bbb/l/, name: two%s}]"
    found = entries(expanded("defaults: {prune: {max: 10%}}\n" + both % (options, options))).entries
    most = {"most": 0.1} if expected.get("prunes") and "prune" not in options else {}
    file = "/m.yaml" if expected.get("prunes") else None  # not asked for otherwise
    assert found["one"] == EntryInForce(file, **{**expected, **most})
    assert found["two"] == EntryInForce(file, complete="suspend" not in options, **{**expected, **most})


def test_what_is_not_known_may_have_the_objects_below_its_fixed_prefix(expanded: Load) -> None:
    expansion = expanded(
        """
        mirrors:
        - {list: a.txt, to: "s3://bbb/a/{name}", name: a}
        - {list: b.txt, to: s3://bbb/b/, name: b, suspend: true}
        - {list: c.txt, to: "s3://bbb/c/{host}{path}", name: c}
        - {list: d.txt, to: "s3://{host}/", name: d}
        folders:
        - {path: in, to: s3://ccc/in/, key: "x-{date:%Y}/{path}"}
        """
    )
    endpoint = expansion.lists[0].endpoint
    places = ["s3://bbb/b/", "s3://bbb/c/", "s3://", "s3://ccc/in/x-"]
    assert entries(expansion, "c", "d").unknown == tuple((endpoint, place) for place in places)


@pytest.mark.parametrize(
    ("text", "has"),
    [
        ("version: 1", False),
        ("mirrors: []", False),
        ("stores: {}", False),
        ("folders: [{path: a, to: s3://bbb/}]", True),
    ],
)
def test_an_empty_file_has_no_word(expanded: Load, text: str, has: bool) -> None:
    assert bool(list(files_with_entries(expanded(text)))) is has
