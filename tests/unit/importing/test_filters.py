"""Filters as gitignore patterns: what each matches, compared with the tool's own rule by example."""

import pytest

from mirrord.declared import FileSelection
from mirrord.importing.filters import FilterRule, of_aws, of_rclone, of_wildcards
from mirrord.importing.values import NotCarried
from mirrord.sources.folder.patterns import Patterns

FILES = (
    "a.csv",
    "a.log",
    "logs/x.log",
    "logs/deep/y.gz",
    "sub/logs/z.log",
    "sub/a.csv",
    "keep/b.csv",
    "cache/c",
    "x/cache/d",
)

RCLONE: list[tuple[list[FilterRule], bool, set[str]]] = [
    ([("-", "*.log")], False, {"a.csv", "logs/deep/y.gz", "sub/a.csv", "keep/b.csv", "cache/c", "x/cache/d"}),
    ([("+", "*.csv")], True, {"a.csv", "sub/a.csv", "keep/b.csv"}),
    ([("+", "/*.csv")], True, {"a.csv"}),
    ([("+", "*.{csv,gz}")], True, {"a.csv", "sub/a.csv", "keep/b.csv", "logs/deep/y.gz"}),
    ([("+", "/logs/**")], True, {"logs/x.log", "logs/deep/y.gz"}),
    ([("+", "logs/**")], True, {"logs/x.log", "logs/deep/y.gz", "sub/logs/z.log"}),
    ([("+", "logs/*.log")], True, {"logs/x.log", "sub/logs/z.log"}),
    ([("+", "/logs/**.gz")], True, {"logs/deep/y.gz"}),
    ([("-", "cache/")], False, set(FILES) - {"cache/c", "x/cache/d"}),
    ([("-", "/cache/**")], False, set(FILES) - {"cache/c"}),
    ([("-", "keep/**"), ("+", "*.csv"), ("-", "*")], False, {"a.csv", "sub/a.csv"}),
]


def selected(include: list[str], exclude: list[str]) -> set[str]:
    patterns = Patterns.of(FileSelection(include=tuple(include), exclude=tuple(exclude)))
    return {file for file in FILES if patterns.match(file)}


@pytest.mark.parametrize(("rules", "closed", "expected"), RCLONE)
def test_rclone(rules: list[FilterRule], closed: bool, expected: set[str]) -> None:
    assert selected(*of_rclone(rules, closed=closed)) == expected


AWS: list[tuple[list[FilterRule], set[str]]] = [
    ([("-", "*.log")], set(FILES) - {"a.log", "logs/x.log", "sub/logs/z.log"}),
    ([("-", "logs/*")], set(FILES) - {"logs/x.log", "logs/deep/y.gz"}),
    ([("-", "*/logs/*")], set(FILES) - {"sub/logs/z.log"}),
    ([("-", "*"), ("+", "*.csv")], {"a.csv", "sub/a.csv", "keep/b.csv"}),
    ([("-", "*"), ("+", "logs/*.gz")], {"logs/deep/y.gz"}),
    ([("-", "*"), ("+", "*.csv"), ("-", "keep/*")], {"a.csv", "sub/a.csv"}),
    ([("-", "*"), ("+", "a.csv")], {"a.csv"}),
    ([("+", "*.csv")], set(FILES)),
    ([("-", "*ache*")], set(FILES) - {"cache/c", "x/cache/d"}),
]


@pytest.mark.parametrize(("rules", "expected"), AWS)
def test_aws(rules: list[FilterRule], expected: set[str]) -> None:
    assert selected(*of_aws(rules)) == expected


def test_s5cmd_excludes_first() -> None:
    assert selected(*of_wildcards([("+", "*.csv"), ("-", "keep/*")])) == {"a.csv", "sub/a.csv"}


@pytest.mark.parametrize("pattern", ["a{{x.*}}", "a[bc]", "a?b", "x**y", "{a,{b,c}}", "/", "", "!x[", "a\\b", "#x"])
def test_rclone_patterns_without_an_equal(pattern: str) -> None:
    with pytest.raises(NotCarried):
        of_rclone([("-", pattern)])


@pytest.mark.parametrize("pattern", ["a?b", "a[bc]", "a*b*c", "x/*/y", "**", "/abs", "", "a\\b"])
def test_aws_patterns_without_an_equal(pattern: str) -> None:
    with pytest.raises(NotCarried):
        of_aws([("-", pattern)])


@pytest.mark.parametrize(
    "rules",
    [[("+", "a"), ("-", "b")], [("-", "a"), ("+", "b"), ("-", "c"), ("-", "*")], [("-", "*")], [("+", "a")]],
)
def test_orders_without_an_equal(rules: list[FilterRule]) -> None:
    with pytest.raises(NotCarried):
        of_rclone(rules)
