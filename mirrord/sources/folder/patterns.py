"""Which names of a folder count, by gitignore patterns. Pure.

Owns `include`, `exclude` and the names that never count: temporary ones, and markers.
"""

from collections.abc import Iterable
from typing import Self

from mirrord.declared import FileSelection
from mirrord.planning.decisions.markers import Markers
from mirrord.planning.items.gitignore import matching

TEMPORARY = (".*", "*~", "*.part", "*.tmp", "*.swp")
_SUFFIXES = tuple(pattern.removeprefix("*") for pattern in TEMPORARY if pattern.startswith("*"))


class Patterns:
    """Names are relative to the folder, `/` between segments. ValueError if a pattern is malformed.

    `exclude` comes after the temporary names, so `!.well-known` includes a name again. As in git, nothing below a
    directory that is excluded can be included again, and the last pattern that matches decides.
    """

    def __init__(
        self, include: Iterable[str] = (), exclude: Iterable[str] = (), markers: Markers | None = None
    ) -> None:
        excluded = tuple(exclude)
        self._includes = matching(tuple(include))
        self._excludes = matching((*TEMPORARY, *excluded)) if excluded else None
        """None: temporary names only, as in most folders. To compare a name takes 0.3 us, a pattern 6 us."""
        self._markers = markers

    @classmethod
    def of(cls, selection: FileSelection) -> Self:
        """The patterns of a folder."""
        markers = None if selection.ready is None else Markers(selection.ready)
        return cls(selection.include, selection.exclude, markers)

    def match(self, file: str) -> bool:
        """Whether this file counts and all directories on its path are entered."""
        cuts = (at for at, sign in enumerate(file) if sign == "/")
        return all(self.enters(file[:at]) for at in cuts) and self.takes(file)

    def is_marker(self, file: str) -> bool:
        """Whether this file marks another one as ready."""
        return self._markers is not None and self._markers.is_marker(file)

    def enters(self, directory: str) -> bool:
        """Whether anything below this directory may count."""
        if self._excludes is None:
            return not any(map(_is_temporary, directory.split("/")))
        return not self._excludes(f"{directory}/")

    def takes(self, file: str) -> bool:
        """Whether this file counts; its directories are matched first, from the root down."""
        if self.is_marker(file):
            return False
        if self._includes is not None and not self._includes(file):
            return False
        if self._excludes is None:
            return not _is_temporary(file.rpartition("/")[2])
        return not self._excludes(file)


def _is_temporary(name: str) -> bool:
    return name.startswith(".") or name.endswith(_SUFFIXES)
