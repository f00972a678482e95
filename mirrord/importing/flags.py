"""The flags of one command line, by a table of the tool's flags. Owns their syntax; the tools own what they mean."""

import re
from collections.abc import Mapping, Sequence

from mirrord.frozen import frozen
from mirrord.importing.values import CopyOptions

_NAME = re.compile(r"--?[A-Za-z][A-Za-z0-9-]*")


def flag_names(text: str) -> frozenset[str]:
    """`a b` as --a and --b."""
    return frozenset(f"--{name}" for name in text.split())


@frozen
class FlagTable:
    """`values`: flags that take a value, `switches`: flags that take none; `letters`: short forms of either."""

    values: frozenset[str]
    switches: frozenset[str]
    letters: Mapping[str, str]


@frozen
class GivenFlags:
    """The flags in order, a switch with the value None unless it has one after `=`; and all other words."""

    flags: tuple[tuple[str, str | None], ...]
    positional: tuple[str, ...]
    unknown: tuple[str, ...]
    """Names only: a value may be a secret."""

    def last(self, name: str) -> str | None:
        """The value of the last flag of this name."""
        return next((value for flag, value in reversed(self.flags) if flag == name), None)

    def has(self, name: str) -> bool:
        return any(flag == name and value != "false" for flag, value in self.flags)


def given_flags(words: Sequence[str], table: FlagTable) -> GivenFlags:
    """Read the words after the name of the program."""
    flags: list[tuple[str, str | None]] = []
    positional: list[str] = []
    unknown: list[str] = []
    rest = list(reversed(words))
    while rest:
        word = rest.pop()
        if word == "--":
            positional += reversed(rest)
            break
        if not word.startswith("-") or word == "-":
            positional.append(word)
            continue
        for name, value in _expanded(word, table):
            if name in table.values:
                flags.append((name, value if value is not None else rest.pop() if rest else ""))
            elif name in table.switches:
                flags.append((name, value))
            else:
                unknown.append(name if _NAME.fullmatch(name) else "a flag")
    return GivenFlags(tuple(flags), tuple(positional), tuple(unknown))


def _expanded(word: str, table: FlagTable) -> list[tuple[str, str | None]]:
    """The flags of one word: `--name`, `--name=value`, `-v`, `-vP`, `-fvalue`."""
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        return [(name, value if equals else None)]
    found: list[tuple[str, str | None]] = []
    for at, letter in enumerate(word[1:], 1):
        name = table.letters.get(letter, f"-{letter}")
        if name in table.values:
            return [*found, (name, word[at + 1 :].removeprefix("=") or None)]
        found.append((name, None))
        if name not in table.switches:
            return found
    return found


def hold_unknown(given: GivenFlags, options: CopyOptions) -> None:
    """Unknown flags may change what is copied."""
    for name in given.unknown:
        options.holds.append(f"the flag {name} is not known to mirrord")
