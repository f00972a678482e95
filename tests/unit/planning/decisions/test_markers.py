"""The possible names of a file's ready marker, and which names are markers."""

import pytest

from mirrord.planning.decisions.markers import Markers


@pytest.mark.parametrize(
    ("pattern", "name", "markers"),
    [
        ("*.done", "a.csv", ("a.csv.done", "a.done")),
        ("*.done", "a", ("a.done",)),
        ("*.done", "a.tar.gz", ("a.tar.gz.done", "a.tar.done")),
        ("*.done", "x/y/a.csv", ("x/y/a.csv.done", "x/y/a.done", "x/y.done", "x.done")),
        (".ready-*", "x/a", ("x/.ready-a", ".ready-x")),
        ("go.*.ok", "a.b", ("go.a.b.ok", "go.a.ok")),
        ("_SUCCESS", "a.csv", ("_SUCCESS",)),
        ("_SUCCESS", "x/y/a.csv", ("x/y/_SUCCESS", "x/_SUCCESS", "_SUCCESS")),
    ],
)
def test_the_possible_markers_of_a_file(pattern: str, name: str, markers: tuple[str, ...]) -> None:
    assert Markers(pattern).of(name) == markers
    assert all(Markers(pattern).is_marker(marker) for marker in markers)
    assert not Markers(pattern).is_marker(name)


@pytest.mark.parametrize(
    ("pattern", "name", "is_marker"),
    [
        ("*.done", "x/a.csv.done", True),
        ("*.done", ".done", False),  # marks nothing: a star is at least one character
        ("*.done", "a.done/b", False),  # a directory of that name is none
        ("a*a", "a", False),
        ("a*a", "aa", False),
        ("_SUCCESS", "x/_SUCCESS", True),
        ("_SUCCESS", "a_SUCCESS", False),
    ],
)
def test_which_names_are_markers(pattern: str, name: str, is_marker: bool) -> None:
    assert Markers(pattern).is_marker(name) is is_marker


def test_a_message_names_the_nearest_two() -> None:
    assert Markers("*.done").missing("x/a.csv") == "no marker: waits for x/a.csv.done or x/a.done"


def test_which_files_a_set_of_markers_marks() -> None:
    markers = Markers("_SUCCESS")
    names = ["x/a", "x/y/b", "z/c"]
    assert list(markers.marked(names, frozenset({"x/_SUCCESS"}))) == ["x/a", "x/y/b"]
    assert list(markers.marked(names, frozenset({"x/y/_SUCCESS"}))) == ["x/y/b"]
    assert list(markers.marked(names, frozenset({"_SUCCESS"}))) == names
