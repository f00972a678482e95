"""Which version of each manifest is in force: bad files, collisions, shared stores."""

from dataclasses import replace

import pytest

from mirrord.errors import Problem
from mirrord.manifest.manifest import Manifest
from mirrord.planning.items.in_force import InForce, ManifestVersions, resolve, without_entries

ENVIRON: dict[str, str] = {}


def parsed(file: str, text: str) -> Manifest:
    return Manifest.parse(file, text.encode(), ENVIRON)


def entries(*keys: str) -> str:
    return "mirrors:\n" + "".join(
        f"  - {{url: 'http://h/{key}', to: 's3://bucket/{key}', name: {key}}}\n" for key in keys
    )


def proposed(file: str, text: str, good: Manifest | None = None) -> ManifestVersions:
    return ManifestVersions(file=file, good=good, proposed=parsed(file, text))


def keys(state: InForce) -> list[str]:
    return [item.destination.key for item in state.expansion.items]


def problems(state: InForce) -> dict[str, list[str]]:
    return {one.file: [str(problem) for problem in one.problems] for one in state.versions if one.problems}


def test_at_start_the_later_of_two_that_collide_is_the_bad_one() -> None:
    state = resolve(
        [proposed("a", entries("x")), proposed("b", entries("x", "y")), proposed("c", entries("z"))], ENVIRON
    )
    assert keys(state) == ["x", "z"]
    assert list(problems(state)) == ["b"]


def test_when_one_of_two_changes_it_is_the_bad_one_and_keeps_its_last_good_version() -> None:
    start = resolve([proposed("a", entries("x")), proposed("b", entries("y"))], ENVIRON)
    first, second = start.versions
    state = resolve([proposed("a", entries("x", "y"), first.good), second], ENVIRON)
    assert keys(state) == ["x", "y"]
    assert list(problems(state)) == ["a"]
    mended = resolve([state.versions[0], proposed("b", entries("w"), second.good)], ENVIRON)
    assert keys(mended) == ["x", "y", "w"]
    assert problems(mended) == {}


def test_a_file_that_cannot_be_parsed_keeps_what_was_in_force() -> None:
    good = parsed("a", entries("x"))
    problem = parsed("a", entries("x")).problem("mirrors", 0, "to", "is bad")
    state = resolve([ManifestVersions(file="a", good=good, problems=(problem,))], ENVIRON)
    assert keys(state) == ["x"]
    assert problems(state)["a"] == [str(problem)]


def test_two_that_change_at_once_are_checked_one_by_one_in_order() -> None:
    start = resolve([proposed("a", entries("x")), proposed("b", entries("y")), proposed("c", entries("z"))], ENVIRON)
    one, two, three = start.versions
    state = resolve([proposed("a", entries("z"), one.good), proposed("b", entries("v"), two.good), three], ENVIRON)
    assert keys(state) == ["x", "v", "z"]
    assert list(problems(state)) == ["a"]


def test_a_store_stays_while_others_use_it_although_its_file_was_deleted() -> None:
    stores = "stores:\n  one: {provider: generic, endpoint_url: 'http://s:1'}\n  two: {endpoint_url: 'http://t:1'}\n"
    user = "mirrors:\n  - {url: 'http://h/x', to: 's3://bucket/x', store: two}\n"
    start = resolve([proposed("a", stores + entries()), proposed("b", user)], ENVIRON)
    assert keys(start) == ["x"]
    declared = start.versions[0].good
    assert declared is not None
    without = resolve([start.versions[1]], ENVIRON)
    assert keys(without) == []
    assert without.loaded.problems
    kept = resolve([start.versions[1], ManifestVersions(file="a", good=without_entries(declared))], ENVIRON)
    assert keys(kept) == ["x"]


def test_aws_does_not_stand_in_for_a_store_whose_file_is_bad_or_was_deleted() -> None:
    stores = "stores:\n  default: {provider: generic, endpoint_url: 'http://s:1'}\n"
    bad = ManifestVersions(file="s", problems=(Problem("s", 1, 1, "", "no YAML"),))
    hiding = replace(bad, hidden_stores=True)
    start = resolve([hiding, proposed("a", entries("x")), proposed("c", "daemon: {transfers: 2}\n")], ENVIRON)
    assert (keys(start), sorted(problems(start)), dict(start.loaded.stores)) == ([], ["a", "s"], {})
    waits, daemon = start.versions[1:]
    assert keys(resolve([hiding, waits, daemon], ENVIRON)) == []
    mended = resolve([proposed("s", stores), waits, daemon], ENVIRON)
    assert (keys(mended), mended.loaded.stores["default"].endpoint) == (["x"], "http://s:1")
    assert resolve([mended.versions[1]], ENVIRON, removed_stores=True).loaded.problems
    runs = resolve([bad, waits], ENVIRON)
    assert (keys(runs), runs.loaded.stores["default"].endpoint) == (["x"], "https://s3.amazonaws.com")
    assert keys(resolve([hiding, runs.versions[1]], ENVIRON)) == ["x"]  # what runs goes on


@pytest.mark.parametrize("name", ["stores:\n  s: {endpoint_url: 'http://s:1'}\n", "daemon: {transfers: 2}\n"])
def test_what_may_be_declared_once_is_the_fault_of_the_one_that_changed(name: str) -> None:
    start = resolve([proposed("a", "mirrors: []\n"), proposed("b", name)], ENVIRON)
    assert problems(start) == {}
    first, second = start.versions
    state = resolve([proposed("a", name, first.good), second], ENVIRON)
    assert list(problems(state)) == ["a"]


def test_a_collision_is_reported_at_its_position_in_the_changed_file() -> None:
    start = resolve([proposed("a", entries("x")), proposed("b", entries("y"))], ENVIRON)
    first, second = start.versions
    state = resolve([proposed("a", entries("x", "y"), first.good), second], ENVIRON)
    (problem,) = problems(state)["a"]
    assert problem.startswith("a:3:")
    assert "(b:2)" in problem


def test_an_entry_can_move_between_files_although_a_third_is_bad() -> None:
    start = resolve([proposed("a", entries("x")), proposed("b", entries("y")), proposed("c", entries("z"))], ENVIRON)
    one, two, three = start.versions
    state = resolve(
        [
            proposed("a", entries("x", "y"), one.good),  # takes y
            proposed("b", entries("v"), two.good),  # gives y
            proposed("d", entries("z")),  # collides with c
            three,
        ],
        ENVIRON,
    )
    assert keys(state) == ["x", "y", "v", "z"]
    assert list(problems(state)) == ["d"]
