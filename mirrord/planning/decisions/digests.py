"""Lists of SHA-256 digests as people publish them beside files: which digest a list gives for one name. Pure.

Owns the three forms: coreutils (`<hex>  name`, `<hex> *name`, a leading backslash where the name is escaped), BSD
(`SHA256 (name) = <hex>`), and a single digest. Lines of other algorithms, comments and PGP armour are passed over.
Refuses to guess: a list that names several digests for one name gives none.
"""

import re

_COREUTILS = re.compile(r"(?P<escaped>\\?)(?P<digest>[0-9a-fA-F]{64})[ \t]+\*?(?P<name>.+)")
_BSD = re.compile(r"(?P<escaped>\\?)SHA-?256 ?\((?P<name>.+)\) ?= ?(?P<digest>[0-9a-fA-F]{64})")
_SINGLE = re.compile(r"(?:sha256:)?([0-9a-fA-F]{64})")
_ESCAPED = re.compile(r"\\(.)")
_MANY = 3
"""So many different digests are kept: a list of nothing else takes no memory."""
_MEANS = {"n": "\n", "r": "\r", "\\": "\\"}


class DigestSearch:
    """Reads a list line by line and keeps only what it says of the file `name`, so that a list may be long.

    A list's names may have directories; the whole name wins over its last segment.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lists_names = False
        self._whole: set[str] = set()
        self._last: set[str] = set()
        self._single: set[str] = set()

    def line(self, text: str) -> None:
        """The next line, with or without its end."""
        text = text.removeprefix("\ufeff").strip()
        if match := _COREUTILS.fullmatch(text) or _BSD.fullmatch(text):
            self._lists_names = True
            listed, digest = _name(match), match["digest"].lower()
            if listed.removeprefix("./") == self._name:
                _keep(self._whole, digest)
            elif listed.rpartition("/")[2] == self._name:
                _keep(self._last, digest)
        elif not self._lists_names and (single := _SINGLE.fullmatch(text)):
            _keep(self._single, single[1].lower())

    def result(self) -> str:
        """The digest (64 hex digits, lower case). ValueError, in words that end a sentence about the list, if it names
        no digest for the file, or more than one."""
        found = (self._whole or self._last) if self._lists_names else self._single
        if not found:
            raise ValueError(f"names no sha256 of {self._name}")
        if len(found) > 1:
            raise ValueError(f"names {'2' if len(found) < _MANY else 'many'} different digests of {self._name}")
        return next(iter(found))


def sha256_for(name: str, text: str) -> str:
    """What `DigestSearch` finds in the whole list `text`. Raises what its result raises."""
    search = DigestSearch(name)
    for line in text.splitlines():
        search.line(line)
    return search.result()


def _keep(found: set[str], digest: str) -> None:
    if len(found) < _MANY:
        found.add(digest)


def _name(match: re.Match[str]) -> str:
    return _ESCAPED.sub(lambda one: _MEANS.get(one[1], one[0]), match["name"]) if match["escaped"] else match["name"]
