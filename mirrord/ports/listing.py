"""Many sources below one root: listings, folders, and hints of changes."""

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterable, Mapping, Sequence
from typing import Protocol

from mirrord.errors import LeftOut
from mirrord.model import Revision


class Found(Protocol):
    """One source that a listing found."""

    @property
    def name(self) -> str:
        """Relative to the listing's root, `/` between segments, valid Unicode."""

    @property
    def revision(self) -> Revision: ...


class Listing(Protocol):
    """Many sources below one root: a folder, a list of URLs, a prefix of a store."""

    def enumerate(self) -> AsyncIterator[Found]:
        """Every source once, streamed, in any order."""

    @property
    def complete(self) -> bool:
        """Whether the last `enumerate` ended without an unreadable or missing part. Else no source counts as gone."""


class ListingProblem(Protocol):
    """A part of the root that could not be listed."""

    @property
    def path(self) -> str:
        """Printable."""

    @property
    def message(self) -> str: ...


class FolderListing(Listing, Protocol):
    """A folder on this machine, scanned as a whole or in part. Each `Found` has a `revision.file`."""

    def enumerate(self) -> AsyncGenerator[Found]:
        """As `Listing`. A caller that stops early must close it."""

    def scan(self, names: Iterable[str]) -> AsyncGenerator[Found]:
        """The files at these names now, and for a directory all files below it. Missing and excluded files are skipped.

        A name below a directory that is also given is found twice. Does not change `complete` and `problems`.
        Raises SourceTimedOut if the folder does not answer: then the result says nothing about these names.
        """

    async def existing(self, names: Collection[str]) -> frozenset[str]:
        """The names at which there is a regular file now, also an excluded one. For `ready` markers."""

    async def absent(self, files: Mapping[str, int | None]) -> frozenset[str]:
        """The names of `files` (name -> the device that the file was on, if known) at which there is no file now.

        A name does not count as absent if its nearest existing directory is on another device (a file system may not
        be mounted), if there is a link or a special file instead, if it cannot be examined, or if the root is missing.
        """

    @property
    def down(self) -> str | None:
        """Why the folder does not answer; None while it does. Known from the calls that were made last."""

    @property
    def root(self) -> tuple[int, int] | None:
        """Device and inode of the directory that the last `enumerate` read; None if it could not be read."""

    @property
    def problems(self) -> Sequence[ListingProblem]:
        """The parts that the last `enumerate` could not list."""

    @property
    def left_out(self) -> Sequence[LeftOut]:
        """The entries that the last `enumerate` skipped, by kind: links, special files, names that are not UTF-8."""

    @property
    def excluded(self) -> Sequence[LeftOut]:
        """The names that the filters of the folder excluded from the last `enumerate`; a directory counts once."""

    @property
    def quarantined(self) -> Sequence[Found]:
        """Files that the last `enumerate` found set aside, to be removed."""


class Hints(Protocol):
    """Reports that something may have changed below a directory. Hints may be lost, and only start a scan earlier."""

    async def changed(self) -> frozenset[str]:
        """Wait for the next paths, at least one. The directory itself means any path below it.

        Raises OSError when no more hints will follow.
        """

    @property
    def watching(self) -> str:
        """`events`, or `poll` while there are no events."""

    @property
    def problem(self) -> str | None:
        """Why there are no events; None while there are."""
