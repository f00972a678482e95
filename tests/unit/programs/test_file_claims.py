"""Which files of folders are in conflict, however their names are spread over folders, batches and scans."""

import random
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast
from unicodedata import normalize

import pytest

from mirrord.declared import FolderSpec, FolderTarget, WatchTimes
from mirrord.model import FileIdentity, ProviderName, Record, Revision, State, fingerprint
from mirrord.planning.items.bind import item_of
from mirrord.programs.file_claims import FileClaims
from mirrord.sources.folder.scan import LocalFolder
from mirrord.sources.folder.walk import FoundFile
from mirrord.testing import MemoryJournal
from tests.support.records import make_record


def folder(entry: str, key: str, provider: ProviderName = ProviderName.AWS, settle: float = 0.0) -> FolderSpec:
    target = FolderTarget(store="s", endpoint="http://store", bucket="bucket", key=key, provider=provider)
    return FolderSpec(entry=entry, path=f"/{entry}", target=target, times=WatchTimes(settle=settle))


def in_pairs(files: list[FoundFile]) -> list[list[FoundFile]]:
    return [files[at : at + 2] for at in range(0, len(files), 2)]


@dataclass
class Tree:
    """The scans of a folder, in batches of two. `scans`: how many were made."""

    names: Sequence[str]
    first_inode: int
    scans: int = 0
    down: str | None = None

    @property
    def files(self) -> list[FoundFile]:
        return [self._found(name, number) for number, name in enumerate(self.names, self.first_inode)]

    def _found(self, name: str, inode: int) -> FoundFile:
        file = FileIdentity(1, inode, 1, 1_600_000_000_000_000_000, 1)
        return FoundFile(name, Revision(address=fingerprint(name), file=file))

    async def note(self, add: Callable[[str, FileIdentity], None]) -> None:
        self.scans += 1
        for one in self.files:
            assert one.revision.file is not None
            add(one.name, one.revision.file)

    async def batches(self) -> AsyncGenerator[list[FoundFile]]:
        self.scans += 1
        for some in in_pairs(self.files):
            yield some


@dataclass
class World:
    specs: Sequence[FolderSpec]
    trees: dict[str, Tree]

    @staticmethod
    def of(*folders: tuple[FolderSpec, Iterable[str]]) -> "World":
        trees = {spec.entry: Tree(list(names), 1_000 * at) for at, (spec, names) in enumerate(folders, 1)}
        return World([spec for spec, _ in folders], trees)

    async def lost(self, *records: Record) -> dict[str, list[str]]:
        """The lost files of each folder, as the second scan finds them."""
        listings = cast(dict[str, LocalFolder], self.trees)
        async with MemoryJournal() as journal:
            await journal.save_all(records)
            claims = FileClaims(self.specs, listings, journal)
            for spec in self.specs:
                noting = claims.noting(spec)
                if noting is not None:
                    await self.trees[spec.entry].note(noting)
            await claims.decide()
            return {spec.entry: await self._lost_of(claims, spec) for spec in self.specs}

    async def _lost_of(self, claims: FileClaims, spec: FolderSpec) -> list[str]:
        lost: list[str] = []
        for some in in_pairs(self.trees[spec.entry].files):
            kept, without = await claims.split(spec, some)
            assert sorted([one.name for one in kept] + [one.found.name for one in without]) == sorted(
                one.name for one in some
            )
            lost += [one.found.name for one in without]
        return lost


NFC, NFD = (normalize(form, "é") for form in ("NFC", "NFD"))


@pytest.mark.parametrize("settle", [0.0, 2.0])
@pytest.mark.parametrize(
    ("key", "provider", "names", "lost"),
    [
        ("{name}", ProviderName.AWS, ["c/x", "c/y", "b/x", "b/z", "a/x", "a/u"], ["c/x", "b/x"]),
        ("{date:%Y}/{name}", ProviderName.AWS, ["c/x", "c/y", "b/x", "b/z", "a/x", "a/u"], ["c/x", "b/x"]),
        ("{path}", ProviderName.R2, [NFC, "a", "b", NFD], [NFC]),
        ("{path}", ProviderName.R2, [NFD, "a", "b", NFC], [NFC]),
        ("{date}/{path}", ProviderName.R2, [NFC, "a", "b", NFD], [NFC]),
        ("{path}", ProviderName.SEAWEEDFS, ["a\\x", "b", "c", "a/x"], ["a\\x"]),
        ("{path}", ProviderName.SEAWEEDFS, ["a/x", "b", "c", "a\\x"], ["a\\x"]),
        ("{path}", ProviderName.SEAWEEDFS, ["a\\b\\x", "b", "c", "a/b\\x"], ["a\\b\\x"]),
        ("{path}", ProviderName.AWS, [NFC, "a\\x", NFD, "a/x"], []),
    ],
)
async def test_one_folder(key: str, provider: ProviderName, names: list[str], lost: list[str], settle: float) -> None:
    world = World.of((folder("f", key, provider, settle), names))
    assert await world.lost() == {"f": lost}


@pytest.mark.parametrize("provider", [ProviderName.AWS, ProviderName.R2, ProviderName.SEAWEEDFS])
@pytest.mark.parametrize("settle", [0.0, 2.0])
async def test_folders_of_distinct_keys_are_not_scanned_again(provider: ProviderName, settle: float) -> None:
    """Only where a store merges Unicode forms, a folder that settles at once needs a scan."""
    one, other = folder("a", "a/{path}", provider, settle), folder("b", "b/{path}", provider, settle)
    world = World.of((one, ["x", "y", "z"]), (other, ["x", "y", "z"]))
    assert await world.lost() == {"a": [], "b": []}
    looks = provider is ProviderName.R2 or (provider is ProviderName.SEAWEEDFS and settle > 0)
    assert [tree.scans for tree in world.trees.values()] == [int(looks)] * 2


async def test_random_folders() -> None:
    """Each object has one file, that of the first folder, and there the first by name."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for _ in range(40):
        specs = [folder(entry, chance.choice(["{path}", "p/{path}", "{name}"])) for entry in "abc"]
        names = [f"{one}/{two}" for one in ("p", "q") for two in "uvwxyz"]
        world = World.of(*((spec, chance.sample(names, chance.randrange(len(names)))) for spec in specs))
        claims: dict[str, list[Any]] = {}
        for rank, spec in enumerate(specs):
            for name in world.trees[spec.entry].names:
                key = spec.target.key.replace("{path}", name).replace("{name}", name[2:])
                claims.setdefault(key, []).append((rank, name))
        lost = {claim for some in claims.values() for claim in some if claim != min(some)}
        found = await world.lost()
        assert {(rank, name) for rank, spec in enumerate(specs) for name in found[spec.entry]} == lost


@pytest.mark.parametrize("down", [None, "it does not answer"])
async def test_a_recorded_file_of_a_folder_that_does_not_answer_has_its_object(down: str | None) -> None:
    specs = [folder(entry, "{path}") for entry in "ab"]
    world = World.of((specs[0], ["x", "y"]), (specs[1], []))
    world.trees["b"].down = down
    at = item_of(specs[1], "x", 0.0).destination
    record = make_record(state=State.SYNCED, item_id=at.item_id, entry="b", source="file:///b/x", destination=at)
    assert await world.lost(record) == {"a": ["x"] if down else [], "b": []}
