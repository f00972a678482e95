"""Which files of folders have the objects that they claim, decided before anything is sent: for `sync` and `plan`.

Owns the steps from the names in the folders to the files that are in conflict. Only folders of which two files may have
one object are looked at (`planning.items.shared_objects`). Their first scan keeps eight bytes for each file: a hash of
its key. Only if two hashes are equal, another scan finds those files, and `planning.decisions.claims` decides. Memory:
that, and some hundred bytes for each object that several files claim.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from mirrord.declared import FolderSpec
from mirrord.errors import KeyRefused, Reason
from mirrord.folders.binding import Binding, file_claim
from mirrord.frozen import frozen
from mirrord.model import Destination, FileIdentity, Item, Marks, Outcome, Record, State, repeated
from mirrord.planning.decisions.claims import Claim, conflict_message, file_text, holder
from mirrord.planning.items.bind import file_of, has_date, unchecked_key
from mirrord.planning.items.shared_objects import may_merge, merges, sharing
from mirrord.ports import JournalQueries
from mirrord.providers import profile
from mirrord.sources.folder.scan import LocalFolder
from mirrord.sources.folder.settle import NoteFile
from mirrord.sources.folder.walk import FoundFile


def conflict(name: str, item: Item, rival: str) -> Outcome:
    """The outcome of a file whose object `rival` has: see `conflict_message`."""
    message = conflict_message(name, rival, item.destination)
    return Outcome(state=State.BLOCKED, reason=Reason.CONFLICT, message=message)


def _mark(endpoint: str, bucket: str, key: str) -> int:
    return hash((endpoint, bucket, key))


def _mark_of(at: Destination) -> int:
    return _mark(at.endpoint, at.bucket, at.key)


@frozen
class LostFile:
    """A file whose object another file has. `outcome` None: the other one is the same file."""

    found: FoundFile
    item: Item
    outcome: Outcome | None


@dataclass(slots=True)
class _Folder:
    spec: FolderSpec
    rank: int
    listing: LocalFolder
    marks: Marks | None = None
    """Of the keys of all files; None: no two of its files have one object, as far as is known."""
    looked: bool = False
    """The first scan looked for names that the store merges."""
    merges: bool = False
    """It found one."""

    @property
    def is_dated(self) -> bool:
        return has_date(self.spec)

    def mark_of(self, name: str) -> int | None:
        """None: the name makes no key."""
        try:
            return _mark(self.spec.target.endpoint, self.spec.target.bucket, unchecked_key(self.spec, name, 0.0))
        except KeyRefused:
            return None

    def claim(self, found: FoundFile, record: Record | None) -> Claim:
        return file_claim(self.spec, found, record, self.rank)


class FileClaims:
    """`noting` for the first scan of each folder, then `decide`, then `split` the files of the second scan.

    `folders`: all of the manifests, in their order, with their listings, by entry. Those that are not `wanted` are not
    scanned for others, but their files may have the objects of files that are. All methods raise JournalError.
    """

    def __init__(
        self,
        folders: Sequence[FolderSpec],
        listings: Mapping[str, LocalFolder],
        journal: JournalQueries,
    ) -> None:
        self._journal = journal
        known = [(rank, spec) for rank, spec in enumerate(folders) if spec.entry in listings]
        self._folders = {spec.entry: _Folder(spec, rank, listings[spec.entry]) for rank, spec in known}
        self._sharing = sharing([spec for _, spec in known])
        self._contested: set[int] = set()
        self._holders: dict[str, Claim] = {}
        self._silent: set[str] = set()

    def noting(self, spec: FolderSpec) -> NoteFile | None:
        """What the first scan of this folder calls with each file; None: nothing."""
        folder = self._folders[spec.entry]
        if folder.is_dated or spec.times.settle <= 0 or not (spec.entry in self._sharing or may_merge(spec)):
            return None  # `decide` makes a scan of its own if it needs one
        if spec.entry in self._sharing:
            return self._marking(folder)
        provider, folder.looked = profile(spec.target.provider), True

        def look(name: str, _: FileIdentity) -> None:
            if merges(provider, name):
                folder.merges = True

        return look

    async def decide(self) -> None:
        """Find who has each object. Files that appear later are not settled, or are found by the next pass."""
        for folder in self._folders.values():
            if folder.marks is None and self._must_mark(folder):
                await self._mark_all(folder)
        await self._compare()
        self._silent = {entry for entry, folder in self._folders.items() if folder.listing.down}

    async def split(
        self, spec: FolderSpec, found: Sequence[FoundFile]
    ) -> tuple[Sequence[FoundFile], Sequence[LostFile]]:
        """The files that have their objects, and the others."""
        folder = self._folders[spec.entry]
        if folder.marks is None and self._finds_merged(folder, found):
            await self._mark_all(folder)
            await self._compare()
        examined = found if folder.marks is not None and self._silent else self._contested_of(folder, found)
        lost = [one for one in await self._judged(folder, examined) if one is not None]
        names = {one.found.name for one in lost}
        return ([one for one in found if one.name not in names] if lost else found), lost

    def is_claimed(self, at: Destination) -> bool:
        """Whether a file of a folder claims this object. Not known of the objects that only one file can have."""
        mark = _mark_of(at)
        return any(folder.marks is not None and mark in folder.marks for folder in self._folders.values())

    # ── marks ────────────────────────────────────────────────────────────────────────────────────
    def _must_mark(self, folder: _Folder) -> bool:
        """Before anything is sent. A name with a backslash is a later one than that with a slash, so that the scan may
        find it, too."""
        unseen = not folder.looked and profile(folder.spec.target.provider).merges_unicode
        return folder.spec.entry in self._sharing or folder.merges or unseen

    def _finds_merged(self, folder: _Folder, found: Sequence[FoundFile]) -> bool:
        if folder.looked or not may_merge(folder.spec):
            return False
        provider = profile(folder.spec.target.provider)
        return any(merges(provider, one.name) for one in found)

    def _marking(self, folder: _Folder) -> NoteFile:
        marks = folder.marks = Marks()

        def note(name: str, _: FileIdentity) -> None:
            mark = folder.mark_of(name)
            if mark is not None:
                marks.add(mark)

        return note

    async def _mark_all(self, folder: _Folder) -> None:
        if not folder.is_dated:
            await folder.listing.note(self._marking(folder))
            return
        marks = folder.marks = Marks()
        async with aclosing(folder.listing.batches()) as batches:
            async for batch in batches:
                for _, item in await self._bound(folder, batch):
                    marks.add(_mark_of(item.destination))

    async def _compare(self) -> None:
        """Find the objects that several files claim, and who has each."""
        self._contested.clear()
        for some in repeated([folder.marks for folder in self._folders.values() if folder.marks is not None]):
            self._contested |= some
            await asyncio.sleep(0)
        self._holders.clear()
        for folder in self._folders.values() if self._contested else ():
            if folder.marks is not None:
                for item_id, claim in (await self._claims(folder)).items():
                    known = self._holders.get(item_id)
                    self._holders[item_id] = claim if known is None else holder((known, claim))

    async def _claims(self, folder: _Folder) -> Mapping[str, Claim]:
        """The claims of the folder on contested objects, by item id."""
        claims: dict[str, Claim] = {}
        async with aclosing(folder.listing.batches()) as batches:
            async for batch in batches:
                bound = await self._bound(folder, self._contested_of(folder, batch))
                records = await self._journal.recorded([item.id for _, item in bound]) if bound else {}
                for found, item in bound:
                    claim, known = folder.claim(found, records.get(item.id)), claims.get(item.id)
                    claims[item.id] = claim if known is None else known.joined(claim)
        return claims

    def _contested_of(self, folder: _Folder, found: Sequence[FoundFile]) -> Sequence[FoundFile]:
        """The files whose objects others may claim."""
        if folder.marks is None or not self._contested:
            return ()
        return found if folder.is_dated else [one for one in found if folder.mark_of(one.name) in self._contested]

    async def _bound(self, folder: _Folder, found: Sequence[FoundFile]) -> Collection[tuple[FoundFile, Item]]:
        bound = await Binding(folder.spec, self._journal).items(found) if found else ()
        return [(one, item) for one, item in bound if isinstance(item, Item)]

    # ── conflicts ────────────────────────────────────────────────────────────────────────────────
    async def _judged(self, folder: _Folder, found: Sequence[FoundFile]) -> Sequence[LostFile | None]:
        bound = await self._bound(folder, found)
        silent = self._silent - {folder.spec.entry}
        records = await self._journal.recorded([item.id for _, item in bound]) if bound and silent else {}
        lost: list[LostFile | None] = []
        for one, item in bound:
            record = records.get(item.id)
            if record is not None and record.removed is None and record.entry in silent:
                rival = file_text(record.source, record.entry)  # its folder does not answer, so it may exist
                lost.append(LostFile(one, item, conflict(one.name, item, rival)))
            else:
                lost.append(self._lost(folder, one, item))
        return lost

    def _lost(self, folder: _Folder, found: FoundFile, item: Item) -> LostFile | None:
        """None: the file has its object."""
        first, claim = self._holders.get(item.id), folder.claim(found, None)
        if first is None or (first.entry, first.name) == (claim.entry, claim.name):
            return None
        if claim.is_file_of(first):
            return LostFile(found, item, None)
        rival = first.name
        if first.entry != claim.entry:
            rival = file_text(file_of(self._folders[first.entry].spec, first.name).address, first.entry)
        return LostFile(found, item, conflict(found.name, item, rival))
