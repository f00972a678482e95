"""Finds a version of an item's object, with the key (SSE-C) that the version was written with.

An object may have got another key, or its first one, since: the versions before keep theirs. The history of the item
names them.
"""

from contextlib import suppress

from mirrord.errors import ActionDenied, StoreRefused
from mirrord.model import Destination, ObjectDetails, VersionAt, customer_key_in, version_at
from mirrord.ports import JournalQueries, ObjectStore


async def inspect_version(
    store: ObjectStore, at: Destination, version_id: str, journal: JournalQueries
) -> tuple[VersionAt, ObjectDetails | None]:
    """The version as a HEAD shows it, or None, and the address by which it can be read. A HEAD with the key of `at`
    comes first. Raises what that HEAD raises if no other key helps."""
    place = version_at(at, version_id)
    try:
        details = await store.inspect_object(place)
    except (StoreRefused, ActionDenied):
        for former in await _former(place, journal):
            with suppress(StoreRefused, ActionDenied):
                return former, await store.inspect_object(former)
        shown = await store.head_version(at, version_id)
        if shown is not None and shown.unreadable:
            raise StoreRefused(
                f"{place} is encrypted with a key (SSE-C) that the store {at.store!r} does not declare: add it to its "
                "customer_keys",
                answered=True,
            ) from None
        raise
    encrypted = details is None or details.stored.has_key
    return (
        place if encrypted else place.keyed(None)
    ), details  # SeaweedFS shows it for any key, and copies it for none


async def _former(place: VersionAt, journal: JournalQueries) -> list[VersionAt]:
    """The version at the addresses with the keys of former objects; and with none, if it was asked for with one."""
    past = (await journal.history(place.item_id)).objects
    keys = dict.fromkeys([*(customer_key_in(one.object.options_digest) for one in past), None])
    return [place.keyed(key) for key in keys if key != place.customer_key]
