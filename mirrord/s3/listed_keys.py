"""Keys of listings that are percent-encoded (`encoding-type=url`): how their plus signs are read.

Owns the ways of the stores. AWS and most stores in Go write a space as `+` and a plus sign as `%2B`, others `%20` and
`+`. SeaweedFS writes the name after the last slash in the first way, and the directories before it in the second. Other
characters have one meaning.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import unquote, unquote_plus

Decode = Callable[[str], str]

_MOST_ASKED = 3
"""Keys of one page that are asked for: see `asked_plus_signs`."""


class PlusSigns(NamedTuple):
    """How plus signs are read in the names after the last slash, and in the directories before it; None: unknown."""

    names: Decode | None = None
    directories: Decode | None = None

    def key(self, text: str) -> str:
        """The key; empty: it is uncertain."""
        if "+" not in text:
            return unquote(text)
        directories, slash, name = text.rpartition("/")
        if ("+" in name and self.names is None) or ("+" in directories and self.directories is None):
            return ""
        return (self.directories or unquote)(directories) + slash + (self.names or unquote)(name)

    def or_else(self, other: "PlusSigns") -> "PlusSigns":
        """What is unknown here is as in `other`."""
        return PlusSigns(self.names or other.names, self.directories or other.directories)


UNKNOWN = PlusSigns()
_WAYS = (PlusSigns(unquote_plus, unquote_plus), PlusSigns(unquote_plus, unquote), PlusSigns(unquote, unquote))


def keys_of(texts: Sequence[str], known: PlusSigns = UNKNOWN) -> list[str]:
    """The keys of one page; an empty one is uncertain. `known`: where the page does not show how they are written."""
    every = "".join(texts)
    if "%" not in every and "+" not in every:
        return [*texts]
    plus = shown_plus_signs(texts).or_else(known) if "+" in every else known
    return [plus.key(one) if "%" in one or "+" in one else one for one in texts]


def shown_plus_signs(texts: Sequence[str]) -> PlusSigns:
    """How the plus signs of one page are written, as far as the page itself shows it."""
    split = [one.rpartition("/") for one in texts]
    directories, names = "".join(one for one, _, _ in split), "".join(one for _, _, one in split)
    of_names = of_directories = None
    if "%2B" in names or "%2B" in directories:
        of_names = unquote_plus
    elif "%20" in names:
        of_names = unquote
    if "%2B" in directories:
        of_directories = unquote_plus
    elif "%20" in directories or "%20" in names:
        of_directories = unquote
    return PlusSigns(of_names, of_directories)


async def asked_plus_signs(
    texts: Sequence[str], prefix: str, known: PlusSigns, exists: Callable[[str], Awaitable[bool]]
) -> PlusSigns:
    """What is `known`, and what the first uncertain keys of a page show: of the keys that a text may stand for, one
    alone begins with the prefix of the listing, or exists. Raises what `exists` raises."""
    shown, asked = shown_plus_signs(texts), 0
    for text in texts:
        if asked == _MOST_ASKED:
            break
        if "+" not in text or shown.or_else(known).key(text):
            continue
        asked += 1
        found = [key for key in _possible(text, shown.or_else(known)) if key.startswith(prefix)]
        if len(found) > 1:
            found = [key for key in found if await exists(key)]
        if len(found) == 1:
            known = known.or_else(_possible(text, shown.or_else(known))[found[0]])
    return known


def _possible(text: str, known: PlusSigns) -> Mapping[str, PlusSigns]:
    """The keys that a text may stand for, with what each of them shows."""
    directories, _, name = text.rpartition("/")
    found: dict[str, PlusSigns] = {}
    for way in map(known.or_else, _WAYS):
        shows = PlusSigns(way.names if "+" in name else None, way.directories if "+" in directories else None)
        found.setdefault(way.key(text), shows)
    return found
