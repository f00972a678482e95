"""From PATH arguments to manifest files: a file or `-` unchanged, of a directory its `*.yaml` and `*.yml`, sorted."""

import os
from collections.abc import Iterable

from mirrord.errors import ManifestError, PathMissing, Problem
from mirrord.manifest.files import STDIN

_ENDINGS = (".yaml", ".yml")


def discover(paths: Iterable[str]) -> tuple[str, ...]:
    """All manifest files in the order of `paths`, each once. An empty directory is allowed.

    Directories are not read recursively. A dangling link in a directory counts as a file; reading it then fails.
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
    manifests = (name for name in names if name.endswith(_ENDINGS) and not name.startswith("."))
    return [file for name in manifests if not os.path.isdir(file := os.path.join(path, name))]
