"""The NOT_YET table: what it refuses, what it allows, and that each of its rows is a field of the schema."""

import pytest

from mirrord.errors import ManifestError
from mirrord.manifest.manifest import Manifest
from mirrord.manifest.schema.not_yet import NOT_YET, NotYetRow, every_field, promised_defaults, row_of

MIRROR = "mirrors: [{{url: https://h/x, to: s3://bbb/x, {}}}]"
FOLDER = "folders: [{{path: /a, to: s3://bbb/, {}}}]"


@pytest.mark.parametrize(
    "text",
    [
        "daemon: {listen: 127.0.0.1:8420, shutdown_grace: 25s, per_host: {connections: 8}, notify: []}",
        "daemon: {network: {allow: []}}",
        "daemon: {state: sqlite:///var/x.db}",
        MIRROR.format("prune: false, verify: store, overwrite: always, http: {connections: 4, min_rate: 1KiB/s}"),
        MIRROR.format("overwrite: never"),
        MIRROR.format("prune: {max: 50%}"),
        "defaults: {prune: true}",
        MIRROR.format("overwrite: owned"),
        FOLDER.format(
            "watch: auto, poll_interval: 5s, rescan: 1m, after_upload: keep, delete: keep, follow_symlinks: false"
        ),
        "defaults: {prune: false, delete: keep}",
    ],
)
def test_a_default_written_out_is_accepted(text: str) -> None:
    Manifest.parse("m.yaml", text.encode(), {})


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("daemon: {state: 'sqlite:///s/later.db'}", "daemon.state"),
    ],
)
def test_any_other_value_is_a_problem_at_its_position(text: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table is empty today: a row of the test."""
    row_of.cache_clear()
    monkeypatch.setitem(NOT_YET, path, NotYetRow("a field", lambda value: value.endswith("later.db")))
    with pytest.raises(ManifestError) as caught:
        Manifest.parse("m.yaml", text.encode(), {})
    (problem,) = caught.value.problems
    assert problem.path == path
    assert "has no effect yet" in problem.message
    assert text[problem.column - 1 :].startswith(path.rpartition(".")[2])


def test_every_row_names_a_field_of_the_schema() -> None:
    fields = {path for path, _ in every_field()}
    for row in NOT_YET:
        section, _, rest = row.partition(".")
        wanted = [f"{one}.{rest}" for one in (("mirrors", "folders") if section == "*" else (section,))]
        assert [path for path in wanted if path in fields] == wanted, f"{row} names no field"


def test_defaults_that_are_not_enforced_are_listed() -> None:
    listed = {path: default for path, default, _ in promised_defaults()}
    assert listed == {path: listed[path] for path, row in NOT_YET.items() if row.promised}
    assert not {"mirrors.prune", "folders.delete"} & listed.keys()  # off is what they are


def test_the_defaults_of_a_file_are_checked_like_its_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    row = NotYetRow("a field")
    monkeypatch.setitem(NOT_YET, "*.object.later", row)
    assert row_of(("defaults", "object", "later")) is row_of(("mirrors", "object", "later")) is row
    assert row_of(("defaults", "every")) is None
