"""`copy`: one source to one object, with the same journal as any transfer."""

import os
from collections.abc import Mapping
from dataclasses import replace

from mirrord.aio import finish
from mirrord.declared import StoreOptions
from mirrord.engine.wiring import engine
from mirrord.errors import KeyRefused
from mirrord.model import (
    Destination,
    Item,
    Options,
    Origin,
    Outcome,
    S3Object,
    State,
    Url,
    file_address,
    origin_at,
    shown,
)
from mirrord.planning.items import keys
from mirrord.ports import Observer
from mirrord.providers import profile
from mirrord.reconcile.records import with_outcome
from mirrord.reconcile.sweeper import COPY_ENTRY
from mirrord.scheduling.workers import reconcile_with_retries
from mirrord.settings import Settings


def bound(source: str, to: str, store: StoreOptions, source_store: StoreOptions | None = None) -> Item:
    """The item of `copy SRC s3://…`. A path is a local file; a `to` that ends with / keeps the source's name.

    `source_store`: of an s3:// source; None: `store`. Raises KeyRefused for an object that cannot exist.
    """
    try:
        origin = _origin(source, source_store if source_store and not source_store.same_access(store) else store)
        bucket, key = keys.address(to)
        if not key or key.endswith("/"):
            key += keys.key_values(origin)["name"]
    except ValueError as error:
        raise KeyRefused(f"{to}: {error}") from error
    key = keys.normalised(key, profile(store.provider))
    if fault := keys.key_fault(key):
        raise KeyRefused(f"s3://{bucket}/{key}: {fault}")
    destination = Destination(store.name, store.endpoint, bucket, key)
    if isinstance(origin, S3Object) and origin.at.item_id == destination.item_id:
        raise KeyRefused(f"{destination} is its own source")
    return Item(id=destination.item_id, entry=COPY_ENTRY, origin=origin, destination=destination, options=Options())


def _origin(source: str, store: StoreOptions) -> Origin:
    if source.startswith("s3://"):
        bucket, key = keys.address(source)
        return S3Object(Destination(store.name, store.endpoint, bucket, keys.normalised(key, profile(store.provider))))
    path = os.path.expanduser(source) if source.startswith("~/") else source
    return origin_at(source if "://" in source else file_address(os.path.abspath(path)))


def source_fault(source: str) -> str:
    """The fault of SRC that is found without a request, without its secrets; empty if there is none."""
    scheme, separator, path = source.partition("://")
    if not separator:
        return _path_fault(os.path.expanduser(source) if source.startswith("~/") else source)
    if scheme == "file":
        return _path_fault(path)
    if scheme == "s3":
        return _object_fault(source)
    if scheme not in ("http", "https"):
        return f"begins with {scheme[:20]}://; write http://, https://, s3://, or a path"
    try:
        keys.key_values(Url(source))
    except ValueError as error:
        return f"{shown(source)}: {error}"
    return ""


def _object_fault(source: str) -> str:
    try:
        _, key = keys.address(source)
    except ValueError as error:
        return f"{source}: {error}"
    if not key or key.endswith("/"):
        return f"{source} is a prefix; a mirror of a manifest copies the objects below it"
    return ""


def _path_fault(path: str) -> str:
    if os.path.isdir(path):
        return f"{path} is a directory; a folder entry of a manifest uploads what is in it"
    return "" if os.path.lexists(path) else f"{path} does not exist"


async def copy(item: Item, stores: Mapping[str, StoreOptions], settings: Settings, observer: Observer) -> Outcome:
    """Make the object equal to the source; transient errors are retried. Raises JournalError and its children.

    The item is recorded as removed from the manifests: `status` does not count it, and the sweep removes what a failed
    copy left at the store a day later.
    """
    anywhere = replace(settings, file_roots=None)  # they limit manifests, not a person's own command
    async with engine(anywhere, stores, observer) as opened, opened.sweeper.beside():
        record = await opened.journal.record(item.id)
        if record is not None and record.removed is None and record.entry != COPY_ENTRY:  # a manifest has the object
            return await reconcile_with_retries(opened.reconciler, item, opened.clock)
        if record is None:  # after kill -9 each upload must belong to a record
            await opened.journal.save(with_outcome(item, None, Outcome(state=State.PENDING), opened.clock.now()))
        await opened.journal.retire([item.id], opened.clock.now())
        try:
            return await reconcile_with_retries(opened.reconciler, item, opened.clock)
        finally:
            await finish(opened.journal.retire([item.id], opened.clock.now()))
