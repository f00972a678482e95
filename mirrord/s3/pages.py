"""The end of a listing in pages: a store that never says that it ends must not keep a program forever.

Owns the bound; `store` asks for the pages.
"""

from collections.abc import Hashable

from mirrord.errors import StoreUnavailable

MOST_EMPTY = 1_000
"""Pages in a row without an entry. S3 may send some, for example where many objects were deleted."""


class Pages:
    """The pages of one listing so far; `what`: the operation and its object."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._tokens = set[Hashable]()
        self._empty = 0

    def follow(self, token: Hashable, *, entries: int) -> None:
        """A page had so many entries, and `token` asks for the next one. Raises StoreUnavailable if that token was used
        before, or after too many pages without an entry."""
        self._empty = 0 if entries else self._empty + 1
        if token in self._tokens:
            raise StoreUnavailable(f"{self._what}: incomplete: there is no new token for the rest")
        if self._empty >= MOST_EMPTY:
            raise StoreUnavailable(f"{self._what}: incomplete: {MOST_EMPTY:,} pages in a row have no entry")
        self._tokens.add(token)
