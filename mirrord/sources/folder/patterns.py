"""Which names of a folder count, by gitignore patterns. Pure.

Owns `include`, `exclude` and the names that never count: temporary ones (SPEC section 2), and markers.
"""

from collections.abc import Iterable
from typing import Self

from mirrord.declared import FileSelection
from mirrord.planning.decisions.markers import Markers

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
        from pathspec import GitIgnoreSpec  # here: `validate` and `status` compare no names, and the import takes 8 ms

        self._include = GitIgnoreSpec.from_lines(include)
        self._takes_all = not any(pattern.include is not None for pattern in self._include.patterns)  # comments
        excluded = tuple(exclude)
        self._exclude = GitIgnoreSpec.from_lines((*TEMPORARY, *excluded))
        self._only_temporary = not excluded
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

    def enters(self, directory: str) -> bool:
        """Whether anything below this directory may count."""
        return not self._exclude.match_file(f"{directory}/")

    def takes(self, file: str) -> bool:
        """Whether this file counts; its directories are matched first, from the root down."""
        if self._markers is not None and self._markers.is_marker(file):
            return False
        included = self._takes_all or self._include.match_file(file)
        return included and not self._excludes(file)

    def _excludes(self, file: str) -> bool:
        """Whether the patterns exclude the file. Of most folders they are `TEMPORARY` only, which concern the last
        segment: to compare it takes 0.3 us, the patterns 6 us."""
        if not self._only_temporary:
            return self._exclude.match_file(file)
        name = file.rpartition("/")[2]
        return name.startswith(".") or name.endswith(_SUFFIXES)
