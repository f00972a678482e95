"""Many sources at one place: listings, folders, and hints that something may have changed."""

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterable, Mapping, Sequence
from typing import Protocol

from mirrord.errors import LeftOut
from mirrord.model import Revision


class Found(Protocol):
    """One name that a listing found."""

    @property
    def name(self) -> str:
        """Relative to the listing's root, `/` between segments, valid Unicode."""

    @property
    def revision(self) -> Revision: ...


class Listing(Protocol):
    """Many sources at one place: a folder, a list of URLs, a prefix of a store."""

    def enumerate(self) -> AsyncIterator[Found]:
        """Every name once, streamed, in no promised order."""

    @property
    def complete(self) -> bool:
        """After `enumerate` ended: nothing was unreadable or missing. An incomplete listing deletes nothing."""


class ListingProblem(Protocol):
    """Something that a listing could not list."""

    @property
    def path(self) -> str:
        """Printable."""

    @property
    def message(self) -> str: ...


class FolderListing(Listing, Protocol):
    """A folder on this machine: listed whole, or looked at in places. Each `Found` has a `revision.file`."""

    def enumerate(self) -> AsyncGenerator[Found]:
        """As `Listing`; to be closed by whoever leaves it early."""

    def scan(self, names: Iterable[str]) -> AsyncGenerator[Found]:
        """What stands at these names now; of a directory, all below it. What is gone or left out yields nothing.

        A name below another one's directory is found twice. Changes neither `complete` nor `problems`. Raises
        SourceTimedOut if the folder does not answer: then nothing is known of these names."""

    async def existing(self, names: Collection[str]) -> frozenset[str]:
        """Those of `names` at which a regular file stands now, whether it counts or not: for ready markers."""

    async def absent(self, files: Mapping[str, int | None]) -> frozenset[str]:
        """Those of `files` (name -> the device that it was on, if known) at which no regular file stands now.

        Not where the directory that is left of the name is on another device: something is not mounted. Not where a
        link or a special file stands instead. Not what cannot be asked about, nor anything while the root is missing.
        """

    @property
    def down(self) -> str:
        """Why the folder does not answer; empty while it does. Known from the calls that were made last."""

    @property
    def root(self) -> tuple[int, int] | None:
        """Device and inode of the directory that the last `enumerate` read; None if it could not be read."""

    @property
    def problems(self) -> Sequence[ListingProblem]:
        """What the last `enumerate` could not list."""

    @property
    def left_out(self) -> Sequence[LeftOut]:
        """What the last `enumerate` came across and left, by kind: links, special files, names that are no text."""


class Hints(Protocol):
    """Word that something may have changed below a directory. Hints get lost: they say when to look, never what is."""

    async def changed(self) -> frozenset[str]:
        """Wait for the next paths, at least one; the directory itself stands for anything in it.

        Raises OSError when no more will come."""

    @property
    def watching(self) -> str:
        """`events`, or `poll` while none are to be had."""

    @property
    def problem(self) -> str | None:
        """Why there are no events; None while there are."""
