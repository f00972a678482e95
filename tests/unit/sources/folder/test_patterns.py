"""Which names count: gitignore rules, temporary names, order."""

import pytest

from mirrord.sources.folder.patterns import Patterns


@pytest.mark.parametrize("name", [".hidden", "a/.hidden", "x~", "x.part", "x.tmp", ".x.swp", "a/x.swp", "a/b/x.part"])
def test_temporary_names_are_out(name: str) -> None:
    assert not Patterns().takes(name)


@pytest.mark.parametrize("directory", [".git", "a/.cache", "upload.part"])
def test_temporary_directories_are_not_entered(directory: str) -> None:
    assert not Patterns().enters(directory)


@pytest.mark.parametrize(
    ("include", "exclude", "taken", "left"),
    [
        ([], [], ["a", "a.csv", "d/e/f.txt", "part", "tmp"], []),
        (["*.csv"], [], ["a.csv", "d/e/a.csv"], ["a.txt", "csv"]),
        (["**/*.csv"], [], ["a.csv", "d/e/a.csv"], ["a.txt"]),
        (["/d/"], [], ["d/a", "d/e/f"], ["a", "e/d2/a"]),
        (["*.csv", "!b.csv"], [], ["a.csv"], ["b.csv", "d/b.csv"]),
        ([], ["*.bak", "!keep.bak"], ["a", "keep.bak"], ["x.bak", "d/x.bak"]),
        ([], ["!.well-known"], [".well-known"], [".other"]),
        (["*.csv"], ["d/"], ["a.csv"], ["d/a.csv"]),
        (["*.part"], [], [], ["a.part"]),
        (["# no pattern", ""], [], ["a"], []),
    ],
)
def test_include_and_exclude(include: list[str], exclude: list[str], taken: list[str], left: list[str]) -> None:
    patterns = Patterns(include, exclude)
    assert [name for name in taken + left if patterns.takes(name)] == taken


def test_a_malformed_pattern_is_an_error() -> None:
    with pytest.raises(ValueError, match="!"):
        Patterns(["!"])


NAMES = ["a", "~", "a~", "~a", ".", ".a", "a.", "a.tmp", "a.tmpx", ".tmp", "tmp", "x.sw"]


@pytest.mark.parametrize("base", NAMES)
@pytest.mark.parametrize("directory", ["", "d/", "a.b/c/"])
def test_without_patterns_the_temporary_names_are_the_same(directory: str, base: str) -> None:
    assert Patterns().takes(directory + base) is Patterns(exclude=["# no pattern"]).takes(directory + base)


@pytest.mark.parametrize("base", [name for name in NAMES if name != "."])  # no directory has this name
@pytest.mark.parametrize("directory", ["", "d/", "a.b/c/", ".d/", "d~/e/"])
def test_without_patterns_the_temporary_directories_are_the_same(directory: str, base: str) -> None:
    assert Patterns().enters(directory + base) is Patterns(exclude=["# no pattern"]).enters(directory + base)
