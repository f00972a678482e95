"""The filters of other tools as gitignore patterns, where both mean the same.

rclone (Filtering, docs): the first rule that matches decides; `*` does not match `/`, `**` does; a pattern without a
leading `/` matches at any level. aws (AWS CLI, "Use of Exclude and Include Filters"): the last one decides; `*` also
matches `/`; the pattern is for the whole path. s5cmd: `*` as aws; exclude wins. NotCarried tells what has no equal.

gitignore patterns also match directories, with all that is below them. So a *directory* named like `x.csv` differs;
that is accepted.
"""

import re
from collections.abc import Sequence
from itertools import product

from mirrord.importing.values import NotCarried

FilterRule = tuple[str, str]
"""`+` or `-`, and a pattern as the tool writes it."""
FilterPatterns = tuple[list[str], list[str]]
"""include and exclude of a folder."""
_SPECIAL = re.compile(r"[\\\[\]?\0]|\$|[ \t]$|^\s")
_MOST = 100
"""Patterns that the braces of one pattern may make."""


def of_rclone(rules: Sequence[FilterRule], *, closed: bool = False) -> FilterPatterns:
    """From rules in their order. `closed`: after the last one everything else is excluded."""
    rules = list(rules)
    if rules and rules[-1] in (("-", "*"), ("-", "**"), ("-", "/**")):
        rules.pop()
        closed = True
    signs = "".join(sign for sign, _ in rules)
    if not re.fullmatch(r"-*\+*" if closed else "-*", signs):
        raise NotCarried("its filters depend on their order, which gitignore patterns do not express")
    if closed and "+" not in signs:
        raise NotCarried("its filters exclude everything")
    include = [pattern for sign, one in rules if sign == "+" for pattern in rclone_patterns(one)]
    exclude = [pattern for sign, one in rules if sign == "-" for pattern in rclone_patterns(one)]
    return include, exclude


def of_aws(rules: Sequence[FilterRule]) -> FilterPatterns:
    """From `--exclude` (`-`) and `--include` (`+`) in the order of the command line."""
    rules = list(rules)
    while rules and rules[0][0] == "+":
        rules.pop(0)  # everything is included at the start
    closed = bool(rules) and rules[0] == ("-", "*")
    kept = rules[1:] if closed else rules
    if not re.fullmatch(r"\+*-*" if closed else "-*", "".join(sign for sign, _ in kept)):
        raise NotCarried("its filters depend on their order, which gitignore patterns do not express")
    if closed and not any(sign == "+" for sign, _ in kept):
        raise NotCarried("its filters exclude everything")
    return of_wildcards(kept)


def of_wildcards(rules: Sequence[FilterRule]) -> FilterPatterns:
    """From patterns whose `*` also matches `/`; those that exclude win."""
    include = [path_pattern(pattern) for sign, pattern in rules if sign == "+"]
    return include, [path_pattern(pattern) for sign, pattern in rules if sign == "-"]


# ── one pattern ───────────────────────────────────────────────────────────────────────────────────
def rclone_patterns(pattern: str) -> list[str]:
    """The gitignore patterns of one rclone pattern. Raises NotCarried."""
    if "{{" in pattern or _SPECIAL.search(pattern) or "#" in pattern[:1] or not pattern.strip("/"):
        raise NotCarried("a filter has a form that gitignore patterns do not have")
    return [_rclone_pattern(one) for one in _braces(pattern)]


def _rclone_pattern(pattern: str) -> str:
    anchored = pattern.startswith("/")
    segments = pattern.strip("/").split("/")
    if pattern.endswith("/"):
        segments.append("**")
    made: list[str] = []
    for segment in segments:
        if "**" in segment and segment != "**":
            if not re.fullmatch(r"\*\*[^*]+", segment):
                raise NotCarried("a filter has ** inside a name")
            made += ["**", segment[1:]]
        else:
            made.append(segment)
    if anchored:
        return "/" + "/".join(made)
    return made[0] if len(made) == 1 and made[0] != "**" else "/".join(made if made[0] == "**" else ["**", *made])


def _braces(pattern: str) -> list[str]:
    """`*.{jpg,png}` as its two patterns."""
    parts = re.split(r"\{([^{}]*)\}", pattern)
    if any("{" in one or "}" in one for one in parts):
        raise NotCarried("a filter has nested braces")
    choices = [one.split(",") if at % 2 else [one] for at, one in enumerate(parts)]
    combinations = 1
    for choice in choices:
        combinations *= len(choice)
    if combinations > _MOST:
        raise NotCarried("a filter has braces with too many combinations")
    return ["".join(one) for one in product(*choices)]


def path_pattern(pattern: str) -> str:
    """The gitignore pattern of a wildcard for the whole path whose `*` also matches `/`. Raises NotCarried."""
    pattern = pattern.removeprefix("./")
    if _SPECIAL.search(pattern) or "**" in pattern or not pattern.strip("*/") or pattern.startswith("/"):
        raise NotCarried("a filter has a form that gitignore patterns do not have")
    begins, ends = pattern.startswith("*"), pattern.endswith("*")
    middle = pattern.strip("*")
    if "*" in middle:
        return _with_a_star(pattern, middle)
    after = middle + ("*" if ends else "")
    if not begins:
        return "/" + after
    if "/" not in middle:
        return "*" + after
    return ("/*/**" if middle.startswith("/") else "**/*") + after


def _with_a_star(pattern: str, middle: str) -> str:
    """`logs/*.gz` is `/logs/**/*.gz`; other forms have no equal."""
    directory, star, name = middle.partition("/*")
    if pattern != middle or not star or "*" in directory or "*" in name or "/" in name:
        raise NotCarried("a filter has * inside a name, where it also matches /")
    return f"/{directory}/**/*{name}"
