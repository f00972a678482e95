"""`history` and `restore` without a daemon: from the journal, and with the stores of the manifests."""

from collections.abc import AsyncIterator, Mapping
from itertools import chain
from re import fullmatch
from typing import TypeVar

from mirrord.declared import StoreOptions
from mirrord.engine.read_only_journal import read_journal
from mirrord.engine.stores import Stores
from mirrord.engine.wiring import engine
from mirrord.errors import RestoreRefused, StoreError
from mirrord.model import FormerSource, Item, Options, Record
from mirrord.ports import JournalQueries, Observer
from mirrord.programs.desired import Desired
from mirrord.reconcile.history import history_of, history_with_versions
from mirrord.settings import Settings
from mirrord.status import ItemHistory, Restored

_PAGE = 500

T = TypeVar("T")


class NoItem(RestoreRefused):
    """No item, or more than one, is meant by an ITEM of the command line."""


async def recorded_history(settings: Settings, stores: Mapping[str, StoreOptions] | None, which: str) -> ItemHistory:
    """The history of the item that `which` names, with versions if `stores` are known. Takes no lock, writes nothing.

    Raises NoItem, JournalError and its children.
    """
    async with read_journal(settings) as journal:
        record = await recorded_item(journal, which)
        known = await journal.history(record.item_id)
        if stores is None:
            return history_of(record, known, problem="no manifest declares its store; name one with --config")
        async with Stores(stores, settings.directory, read_only=True) as opened:
            try:
                store = await opened.at(record.destination)
            except StoreError as error:
                return history_of(record, known, problem=str(error))
            return await history_with_versions(record, known, store)


async def restore_version(
    settings: Settings, desired: Desired, observer: Observer, which: str, version_id: str
) -> Restored:
    """Make the version current, under the state lock. Raises NoItem, RestoreRefused, StoreError, JournalError."""
    async with engine(settings, desired.loaded.stores, observer) as opened, opened.sweeper.beside():
        record = await recorded_item(opened.journal, which)
        at, origin, options = record.object_at, FormerSource(record.source), _options(desired, record)
        store = await opened.stores.at(at)
        item = Item(id=record.item_id, entry=record.entry, origin=origin, destination=at, options=options)
        restored = await opened.restoration.restore(item, store, version_id)
    return Restored(id=item.id, destination=str(at), version=version_id, size=restored.object.size)


def _options(desired: Desired, record: Record) -> Options:
    """The options of the item's entry, as the manifests say now; of an item that they do not have: the defaults."""
    wanted = desired.expansion
    mirrors = (item.options for item in wanted.items if item.id == record.item_id)
    lists = (one.options for one in wanted.lists if one.entry == record.entry)
    folders = (one.options for one in wanted.folders if one.entry == record.entry)
    return next(chain(mirrors, lists, folders), Options())


async def recorded_item(journal: JournalQueries, which: str) -> Record:
    """The record that an ITEM names: an id, `s3://bucket/key`, or a key that only one item has. Raises NoItem."""
    if fullmatch("[0-9a-f]{16}", which) and (found := await journal.record(which)) is not None:
        return found
    records = [record async for record in _with_key(journal, which)]
    return only_one(which, {record.item_id: (str(record.destination), record) for record in records})


async def _with_key(journal: JournalQueries, which: str) -> AsyncIterator[Record]:
    after: str | None = None
    key = key_of(which)
    while page := await journal.page(text=key, after=after, limit=_PAGE):
        for record in page:
            if which in (record.destination.key, str(record.destination)):
                yield record
        after = page[-1].item_id


def key_of(which: str) -> str:
    """The key in an ITEM."""
    return which.removeprefix("s3://").partition("/")[2] if which.startswith("s3://") else which


def only_one(which: str, found: Mapping[str, tuple[str, T]]) -> T:
    """The one of what was found, by item id with the object's address. Raises NoItem."""
    if not found:
        raise NoItem(f"{which}: no item in force has this id, object or key; an item that left is found by its id")
    if len(found) > 1:
        names = ", ".join(f"{at} ({item_id})" for item_id, (at, _) in sorted(found.items())[:5])
        raise NoItem(f"{which}: {len(found)} items have this key; name one by its id or as s3://bucket/key: {names}")
    return next(iter(found.values()))[1]
