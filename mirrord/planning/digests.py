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
_MEANS = {"n": "\n", "r": "\r", "\\": "\\"}


def sha256_for(name: str, text: str) -> str:
    """The digest (64 hex digits, lower case) that the list `text` gives for the file `name`.

    A list's names may have directories; the whole name wins over its last segment. ValueError, in words that end a
    sentence about the list, if it names no digest for `name`, or more than one.
    """
    lines = [line.strip() for line in text.removeprefix("\ufeff").splitlines()]
    found = [match for line in lines if (match := _COREUTILS.fullmatch(line) or _BSD.fullmatch(line))]
    if not found:
        return _only({single[1].lower() for line in lines if (single := _SINGLE.fullmatch(line))}, name)
    named = [(_name(match), match["digest"].lower()) for match in found]
    whole = {digest for listed, digest in named if listed.removeprefix("./") == name}
    return _only(whole or {digest for listed, digest in named if listed.rpartition("/")[2] == name}, name)


def _name(match: re.Match[str]) -> str:
    return _ESCAPED.sub(lambda one: _MEANS.get(one[1], one[0]), match["name"]) if match["escaped"] else match["name"]


def _only(digests: set[str], name: str) -> str:
    if not digests:
        raise ValueError(f"names no sha256 of {name}")
    if len(digests) > 1:
        raise ValueError(f"names {len(digests)} different digests of {name}")
    return digests.pop()
