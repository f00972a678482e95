"""Published lists of SHA-256 digests: the digest of one file name in a list. Pure.

Owns the three forms: coreutils (`<hex>  name`, `<hex> *name`, with a leading backslash if the name is escaped), BSD
(`SHA256 (name) = <hex>`), and a single digest. Lines of other algorithms, comments and PGP armour are ignored. A list
with several digests for one name gives no digest.
"""

import re

_COREUTILS = re.compile(r"(?P<escaped>\\?)(?P<digest>[0-9a-fA-F]{64})[ \t]+\*?(?P<name>.+)")
_BSD = re.compile(r"(?P<escaped>\\?)SHA-?256 ?\((?P<name>.+)\) ?= ?(?P<digest>[0-9a-fA-F]{64})")
_SINGLE = re.compile(r"(?:sha256:)?([0-9a-fA-F]{64})")
_ESCAPED = re.compile(r"\\(.)")
_MANY = 3
"""The number of different digests that are kept, which bounds the memory for long lists."""
_MEANS = {"n": "\n", "r": "\r", "\\": "\\"}


class DigestSearch:
    """Reads a list line by line and keeps only the digests of the file `name`, so that a list may be long.

    Names in a list may have directories. A match of the whole name counts before a match of the last segment.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lists_names = False
        self._full_name: set[str] = set()
        self._last_segment: set[str] = set()
        self._single: set[str] = set()

    def line(self, text: str) -> None:
        """The next line, with or without its end."""
        text = text.removeprefix("\ufeff").strip()
        if match := _COREUTILS.fullmatch(text) or _BSD.fullmatch(text):
            self._lists_names = True
            listed, digest = _name(match), match["digest"].lower()
            if listed.removeprefix("./") == self._name:
                _keep(self._full_name, digest)
            elif listed.rpartition("/")[2] == self._name:
                _keep(self._last_segment, digest)
        elif not self._lists_names and (single := _SINGLE.fullmatch(text)):
            _keep(self._single, single[1].lower())

    def result(self) -> str:
        """The digest (64 hex digits, lower case). ValueError if the list has no digest for the file, or more than one;
        its message continues a sentence about the list."""
        found = (self._full_name or self._last_segment) if self._lists_names else self._single
        if not found:
            raise ValueError(f"names no sha256 of {self._name}")
        if len(found) > 1:
            raise ValueError(f"names {'2' if len(found) < _MANY else 'many'} different digests of {self._name}")
        return next(iter(found))


def listed_digest(text: str) -> tuple[str, str] | None:
    """The file name, also with spaces at its end, and the digest (64 hex digits) in a line of a list; None: it is no
    such line."""
    match = _COREUTILS.fullmatch(text) or _BSD.fullmatch(text.rstrip())
    return (_name(match), match["digest"]) if match else None


def sha256_for(name: str, text: str) -> str:
    """The result of `DigestSearch` for the whole list `text`. Raises as `result`."""
    search = DigestSearch(name)
    for line in text.split("\n"):
        search.line(line)
    return search.result()


def _keep(found: set[str], digest: str) -> None:
    if len(found) < _MANY:
        found.add(digest)


def _name(match: re.Match[str]) -> str:
    return _ESCAPED.sub(lambda one: _MEANS.get(one[1], one[0]), match["name"]) if match["escaped"] else match["name"]
