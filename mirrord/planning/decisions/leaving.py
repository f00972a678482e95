"""Which held items left the manifests, so that their objects may be deleted (guarantee 9). Pure.

Owns the rules for one item that no manifest in force yields: whether its own file says so, whether something that is
not known now could still yield it, and whether its object is one that `prune` may delete. `prune` has the guard against
too many deletions, `reconcile.removal` the last check of the object.
"""

import re
from collections.abc import Container, Mapping
from dataclasses import field
from enum import Enum
from sys import intern

from mirrord.declared import ListSpec
from mirrord.errors import Reason
from mirrord.frozen import frozen
from mirrord.model import Destination, Holder, Record


class Fate(Enum):
    """What becomes of a held item that is not desired."""

    STAYS = "its object stays for now, and it stays held"
    LEAVES = "its object is to be deleted"
    FORGOTTEN = "its object stays for ever"


@frozen
class EntryInForce:
    """One entry of a manifest that is in force. `most`: as `Holder.most`."""

    file: str | None
    """The identity of its manifest; None: it has none, so that nothing leaves by its word."""
    prunes: bool = False
    most: float | None = None
    suspended: bool = False
    every: float | None = None
    """Seconds between two checks of an item; None: it has no such interval."""
    complete: bool = True
    """All its items are known: it is no list, or its list was read completely."""
    listing: ListSpec | None = None
    """The prefix whose objects are its sources; None: it has other sources."""

    def holder(self, name: str) -> Holder | None:
        """The holder of its items; None: nobody holds them."""
        if self.file is None or not self.prunes:
            return None
        return Holder(file=self.file, entry=name, most=self.most, suspended=self.suspended)


@frozen(kw_only=True)
class LoadedEntries:
    """What the manifests say now, as far as it decides which items left."""

    files: Container[str]
    """Identities of the files that are loaded now, valid, and not empty."""
    entries: Mapping[str, EntryInForce]
    stores: Mapping[str, str]
    """The endpoints of the declared stores, by name."""
    unknown: tuple[tuple[str, str], ...] = ()
    """(endpoint, start of `s3://bucket/key`) of objects that folders, and lists that are not known wholly, may have."""
    invalid: tuple[str, ...] | None = ()
    """The texts of the files that are invalid now; None: one of them cannot be read, so that it may yield anything."""

    most_of: Mapping[str, float | None] = field(default_factory=dict)
    """By identity of a file: the share that `prune` of its `defaults` names."""

    def holder_of(self, entry: str) -> Holder | None:
        """The holder of the items of an entry; None: nobody holds them."""
        found = self.entries.get(entry)
        return None if found is None else found.holder(entry)


def fate(holder: Holder, now: LoadedEntries) -> Fate:
    """The fate of all items that `holder` has, as far as it is the same for each."""
    entry = now.entries.get(holder.entry)
    if holder.file not in now.files or now.invalid is None:
        return Fate.STAYS
    if entry is not None and (entry.suspended or not entry.complete):
        return Fate.STAYS
    if entry is None and holder.suspended:
        return Fate.FORGOTTEN
    return Fate.LEAVES


def fate_of_record(holder: Holder, record: Record, now: LoadedEntries) -> Fate:
    """The fate of an item whose holder says LEAVES. `record`: its record."""
    entry, at = now.entries.get(holder.entry), record.destination
    called_off = record.condition.reason is Reason.PRUNE_GUARD and entry is not None and not entry.prunes
    if record.entry != holder.entry or called_off:
        return Fate.FORGOTTEN
    if any(at.endpoint == endpoint and str(at).startswith(start) for endpoint, start in now.unknown):
        return Fate.STAYS
    if any(_may_yield(text, holder, record) for text in now.invalid or ()):
        return Fate.STAYS
    if now.stores.get(at.store, at.endpoint) != at.endpoint:  # also if another store has the former endpoint now
        return Fate.FORGOTTEN
    return Fate.LEAVES if at.endpoint in now.stores.values() else Fate.STAYS


def same_place(at: Destination, stores: Mapping[str, str]) -> list[Destination]:
    """Other addresses that may be the same object: two endpoints of one store, or a key whose backslash the store now
    reads as a slash."""
    keys = dict.fromkeys((at.key, at.key.replace("\\", "/")))
    places = [Destination(name, endpoint, at.bucket, key) for name, endpoint in stores.items() for key in keys]
    return [place for place in places if place.item_id != at.item_id]


def store_now(at: Destination, stores: Mapping[str, str]) -> Destination:
    """The same object, in the store that has its endpoint now: a store may be renamed."""
    name = at.store
    if stores.get(name) != at.endpoint:
        name = next(name for name, endpoint in stores.items() if endpoint == at.endpoint)
    return Destination(intern(name), intern(at.endpoint), intern(at.bucket), at.key)  # a million may leave at once


def _may_yield(text: str, holder: Holder, record: Record) -> bool:
    """Whether an invalid file seems to name the item: its entry may just have been moved there. Only the end of the
    entry's name must be in the text: a matrix makes a name of `to` and `url`, and `to` may contain variables."""
    end = holder.entry[max(0, holder.entry.rstrip("/").rfind("/")) :]
    source = re.split("[?#;]", record.source.rpartition("/")[2])[0]  # the rest is cut in what is shown
    names = (record.destination.key.rpartition("/")[2], source, end)
    return any(name in text for name in names if name)
