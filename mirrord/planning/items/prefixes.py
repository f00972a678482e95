"""Which prefix of a bucket is listed to observe many items at once. Pure.

Owns the prefix of a folder, and the prefixes that the items of mirrors share. `planning.decisions.listed` decides
whether the listing is made at all.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from mirrord.declared import FolderSpec
from mirrord.model import Destination
from mirrord.planning.decisions.listed import listing_cost
from mirrord.planning.items.keys import normalised
from mirrord.planning.items.templates import template
from mirrord.providers import profile


class KeyPrefix(NamedTuple):
    """The objects of one bucket whose keys start with `prefix`. `store` is the store's name, `endpoint` as in
    `Destination`."""

    store: str
    endpoint: str
    bucket: str
    prefix: str

    @property
    def destination(self) -> Destination:
        """The bucket at its store, with the prefix as key."""
        return Destination(self.store, self.endpoint, self.bucket, self.prefix)


def folder_prefix(folder: FolderSpec) -> KeyPrefix:
    """The directory of keys that holds all objects of a folder: the part of its key template before the first
    placeholder."""
    target, first = folder.target, template(folder.target.key).pieces[0]
    fixed = normalised(first, profile(target.provider)) if isinstance(first, str) else ""
    return KeyPrefix(target.store, target.endpoint, target.bucket, directory_of(fixed))


def key_directory(at: Destination) -> KeyPrefix:
    """The directory of an object's key."""
    return KeyPrefix(at.store, at.endpoint, at.bucket, directory_of(at.key))


def directory_of(key: str) -> str:
    """The key up to its last slash, which is included; empty if it has none."""
    return key[: key.rfind("/") + 1]


def shared_prefixes(directories: Mapping[KeyPrefix, int]) -> dict[KeyPrefix, KeyPrefix]:
    """From the directories of keys, with their numbers of items, to the prefixes that are listed for them.

    A directory whose items are cheaper to check by HEADs is left out.
    """
    by_bucket: dict[tuple[str, str, str], dict[str, int]] = defaultdict(dict)
    for (store, endpoint, bucket, directory), items in directories.items():
        by_bucket[store, endpoint, bucket][directory] = items
    return {
        KeyPrefix(*place, directory): KeyPrefix(*place, prefix)
        for place, counts in by_bucket.items()
        for directory, prefix in cheapest_prefixes(counts).items()
    }


def cheapest_prefixes(counts: Mapping[str, int]) -> dict[str, str]:
    """As `shared_prefixes`, for the directories of one bucket.

    For each directory from the deepest up, one listing of everything below it is compared with HEADs for its own items
    and the cheapest way for each directory below it.
    """
    known = {parent for directory in counts for parent in _with_parents(directory)}
    upwards = sorted(known, key=lambda directory: directory.count("/"), reverse=True)
    items, apart, listed = Counter(counts), Counter(counts), set[str]()
    for directory in upwards:
        together = listing_cost(items[directory])
        if together < apart[directory]:
            listed.add(directory)
        if directory:
            items[_parent(directory)] += items[directory]
            apart[_parent(directory)] += min(together, apart[directory])
    chosen: dict[str, str] = {}
    for directory in reversed(upwards):
        above = chosen.get(_parent(directory)) if directory else None
        if above is not None or directory in listed:
            chosen[directory] = directory if above is None else above
    return {directory: chosen[directory] for directory in counts if directory in chosen}


def _with_parents(directory: str) -> Iterable[str]:
    while directory:
        yield directory
        directory = _parent(directory)
    yield ""


def _parent(directory: str) -> str:
    return directory_of(directory[:-1])
