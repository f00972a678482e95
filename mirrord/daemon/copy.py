"""`copy`: one source to one object, journaled like any transfer."""

import os

from mirrord.daemon.wiring import engine
from mirrord.declared import StoreOptions
from mirrord.errors import KeyRefused
from mirrord.model import Destination, Item, Options, Outcome, file_address
from mirrord.planning import keys
from mirrord.ports import Observer
from mirrord.providers import profile
from mirrord.reconcile.workers import settle
from mirrord.settings import Settings


def bound(source: str, to: str, store: StoreOptions) -> Item:
    """The item that `copy SRC s3://…` means. A path is a local file; a `to` that ends with / keeps the source's name.

    Raises KeyRefused for an object that cannot be.
    """
    path = os.path.expanduser(source) if source.startswith("~/") else source
    address = source if "://" in source else file_address(os.path.abspath(path))
    try:
        bucket, key = keys.address(to)
        if not key or key.endswith("/"):
            key += keys.url_values(address)["name"]
    except ValueError as error:
        raise KeyRefused(f"{to}: {error}") from error
    key = keys.normalised(key, profile(store.provider))
    if fault := keys.key_fault(key):
        raise KeyRefused(f"s3://{bucket}/{key}: {fault}")
    destination = Destination(store.name, store.endpoint, bucket, key)
    return Item(id=destination.item_id, entry="copy", source=address, destination=destination, options=Options())


async def copy(item: Item, store: StoreOptions, settings: Settings, observer: Observer) -> Outcome:
    """Make the object equal to the source, trying again what may pass. Raises JournalError and its children."""
    async with engine(settings, {store.name: store}, observer) as opened, opened.janitor.beside():
        return await settle(opened.reconciler, item, opened.clock)
