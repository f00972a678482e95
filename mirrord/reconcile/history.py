"""The history of an item as it is shown: what the journal keeps, joined with the versions that the store lists.

A version is joined by the id of the transfer in its metadata, else by its ETag, which an object of another program has.
Reads only.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from mirrord.errors import StoreError
from mirrord.frozen import frozen
from mirrord.model import META_TRANSFER, Destination, History, ObjectVersion, Record, RecordedObject, Revision
from mirrord.ports import ObjectStore
from mirrord.status import HistoryEntry, ItemHistory

MOST_VERSIONS = 1_000
"""Versions of an object that are listed."""
_MOST_HEADS = 100
"""Of the newest versions a HEAD shows which transfer wrote them."""
_AT_A_TIME = 8
_OF_REVISION = ("etag", "last_modified", "length", "digest")


@frozen
class SeenVersion:
    """`transfer_id`: of the transfer that wrote it; None: another program did, or it is not known."""

    version: ObjectVersion
    transfer_id: str | None = None


async def seen_versions(store: ObjectStore, at: Destination) -> list[SeenVersion]:
    """The versions of exactly this object, the newest first. Raises StoreError."""
    if await store.bucket_versioning(at.bucket) is None:
        return []
    listed = list[ObjectVersion]()
    async for one in store.list_versions(at):
        listed.append(one)
        if len(listed) == MOST_VERSIONS:
            break
    slots = asyncio.Semaphore(_AT_A_TIME)

    async def seen(one: ObjectVersion) -> SeenVersion:
        if one.deleted:
            return SeenVersion(one)
        async with slots:
            stored = await store.head_version(at, one.version_id)
        return SeenVersion(one, stored.metadata.get(META_TRANSFER) if stored is not None else None)

    newest = await asyncio.gather(*map(seen, islice(listed, _MOST_HEADS)))
    return [*newest, *map(SeenVersion, listed[_MOST_HEADS:])]


async def history_with_versions(record: Record, known: History, store: ObjectStore) -> ItemHistory:
    """The history; without versions, and with the reason, if the store does not give them."""
    try:
        versions = await seen_versions(store, record.object_at)
    except StoreError as error:
        return history_of(record, known, problem=str(error))
    return history_of(record, known, versions)


def history_of(
    record: Record, known: History, versions: Sequence[SeenVersion] = (), *, problem: str = ""
) -> ItemHistory:
    """The history, the newest first."""
    left = {one.version.version_id: one for one in versions}
    entries = list[HistoryEntry]()
    if record.object.etag is not None:
        entries.append(_joined(_of_record(record), left))
    for past in known.objects:
        entry = _of_object(past.entry, past.source, past.revision, past.object)
        entries.append(_joined(replace(entry, outcome="replaced", until=past.until), left))
    for failure in known.failures:
        entries.append(
            HistoryEntry(
                outcome="failed",
                when=failure.when,
                entry=failure.entry,
                source=failure.source,
                state=failure.state,
                reason=failure.reason,
                message=failure.message,
            )
        )
    entries += map(_of_version, left.values())
    entries.sort(key=lambda one: one.when or 0.0, reverse=True)
    return ItemHistory(id=record.item_id, destination=str(record.destination), entries=tuple(entries), problem=problem)


def _of_record(record: Record) -> HistoryEntry:
    entry = _of_object(record.entry, record.source, record.revision, record.object)
    now = record.condition
    return replace(entry, state=now.state, reason=now.reason, message=now.message)


def _of_object(entry: str, source: str, revision: Revision | None, known: RecordedObject) -> HistoryEntry:
    named = {name: getattr(revision, name) for name in _OF_REVISION} if revision is not None else {}
    return HistoryEntry(
        outcome="current",
        when=known.synced_at,
        began=known.began,
        duration=_duration(known),
        entry=entry,
        source=source,
        revision={name: value for name, value in named.items() if value is not None},
        size=known.size,
        etag=known.etag,
        checksum=f"{known.checksum.kind.value}:{known.checksum.value}" if known.checksum is not None else None,
        integrity=known.integrity,
        transfer_id=known.transfer_id,
        restored=revision.restored if revision is not None else None,
    )


def _duration(known: RecordedObject) -> float | None:
    if known.began is None or known.synced_at is None:
        return None
    return max(0.0, known.synced_at - known.began)


def _joined(entry: HistoryEntry, left: dict[str, SeenVersion]) -> HistoryEntry:
    """The entry with the id of its version, which is taken from `left`."""
    found = next((one for one in left.values() if _is_of(one, entry)), None)
    return entry if found is None else replace(entry, version_id=left.pop(found.version.version_id).version.version_id)


def _is_of(one: SeenVersion, entry: HistoryEntry) -> bool:
    if entry.transfer_id is not None and one.transfer_id is not None:
        return one.transfer_id == entry.transfer_id
    same = one.version.etag.strip('"') == (entry.etag or "").strip('"')
    return same and not one.version.deleted and (one.transfer_id is None) and one.version.size == entry.size


def _of_version(one: SeenVersion) -> HistoryEntry:
    version = one.version
    return HistoryEntry(
        outcome="delete marker" if version.deleted else "other version",
        when=version.last_modified,
        size=None if version.deleted else version.size,
        etag=version.etag or None,
        transfer_id=one.transfer_id,
        version_id=version.version_id,
        message="current at the store" if version.current else "",
    )
