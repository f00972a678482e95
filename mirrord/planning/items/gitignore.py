"""Names that match gitignore patterns. Pure."""

from collections.abc import Callable, Iterable


def matching(lines: tuple[str, ...]) -> Callable[[str], bool] | None:
    """Whether a name matches the lines. None if they have no pattern, but comments."""
    if not lines:
        return None
    from pathspec import GitIgnoreSpec  # here: most entries have no pattern, and the import takes 8 ms

    spec = GitIgnoreSpec.from_lines(lines)
    return spec.match_file if any(pattern.include is not None for pattern in spec.patterns) else None


class KeySelection:
    """Which keys below a prefix count, relative to it. Unlike in a folder, no name is left out by default."""

    def __init__(self, include: Iterable[str] = (), exclude: Iterable[str] = ()) -> None:
        self._includes = matching(tuple(include))
        self._excludes = matching(tuple(exclude))

    def takes(self, key: str) -> bool:
        """As in git, nothing below a directory that is excluded can be included again."""
        if self._includes is not None and not self._includes(key):
            return False
        return self._excludes is None or not self._excludes(key)
