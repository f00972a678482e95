"""From PATH arguments to manifest files: a file or `-` as it is, a directory's `*.yaml` and `*.yml` sorted."""

import os
from collections.abc import Iterable

from mirrord.errors import ManifestError, PathMissing, Problem
from mirrord.manifest.files import STDIN

_ENDINGS = (".yaml", ".yml")


def discover(paths: Iterable[str]) -> tuple[str, ...]:
    """Every manifest file, in the order of `paths`, each once. An empty directory is lawful.

    Directories are not read recursively; a dangling link in one counts as a file, which then cannot be read.
    Raises PathMissing if a path does not exist, ManifestError if a directory cannot be read.
    """
    found: dict[str, str] = {}
    for path in paths:
        for file in _files(path):
            found.setdefault(os.path.realpath(file), file)
    return tuple(found.values())


def _files(path: str) -> list[str]:
    if path == STDIN:
        return [path]
    path = os.path.expanduser(path) if path.startswith("~/") else path
    if not os.path.exists(path):
        raise PathMissing(f"{path}: no such file or directory")
    if not os.path.isdir(path):
        return [path]
    try:
        names = sorted(os.listdir(path))
    except OSError as error:
        raise ManifestError([Problem(path, 1, 1, "", f"cannot be read: {error.strerror or error}")]) from error
    lawful = (name for name in names if name.endswith(_ENDINGS) and not name.startswith("."))
    return [file for name in lawful if not os.path.isdir(file := os.path.join(path, name))]
