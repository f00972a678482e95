"""Which recorded manifest is one that is loaded now, by its path.

A path is made absolute and is not resolved, because a link may lead to another file with each version (`..data` of a
ConfigMap, `current` of a release). A file that was loaded by another path is recognised by where both paths lead now.
Standard input and pipes have no identity, also where a shell has connected a file: the next one with this name may be
another program's.
"""

import os
from collections.abc import Iterable

from mirrord.errors import ManifestError
from mirrord.manifest import load
from mirrord.manifest.files import STDIN

_DESCRIPTORS = ("/dev/stdin", "/dev/fd/", "/proc/")


def manifest_identity(file: str) -> str | None:
    """The absolute path of a manifest, which may be missing just now; None: it is no regular file."""
    path = os.path.abspath(file)
    if file == STDIN or path.startswith(_DESCRIPTORS):
        return None
    return path if os.path.isfile(path) or not os.path.exists(path) else None


class LoadedFiles:
    """The identities of loaded manifests; `in` is true for another path of one of them, too."""

    def __init__(self, files: Iterable[str]) -> None:
        found = {identity for file in files if (identity := manifest_identity(file)) is not None}
        self._files = {file for file in found if os.path.isfile(file)}
        self._real = {os.path.realpath(file) for file in self._files}
        self._known: dict[str, bool] = {}

    def __contains__(self, identity: object) -> bool:
        if identity in self._files or not isinstance(identity, str):
            return identity in self._files
        if identity not in self._known:
            self._known[identity] = os.path.realpath(identity) in self._real
        return self._known[identity]


def invalid_texts(files: Iterable[str]) -> tuple[str, ...] | None:
    """The texts of files that are invalid; None: one of them cannot be read."""
    try:
        return tuple(load.read(file).decode(errors="replace") for file in files)
    except ManifestError:
        return None
