"""`link`: a URL that fetches the object of an item, from the journal and with the stores of the manifests.

Takes no state lock and writes nothing.
"""

from collections.abc import Mapping

from mirrord.declared import StoreOptions
from mirrord.engine.read_only_journal import read_journal
from mirrord.engine.stores import Stores
from mirrord.errors import LinkRefused
from mirrord.frozen import frozen
from mirrord.model import ObjectLink, ProviderName, Record
from mirrord.programs.history import recorded_item
from mirrord.settings import Settings

LONGEST = 7 * 24 * 3600
"""Seconds: what Signature Version 4 allows."""


@frozen
class ItemLink:
    """A link, and the record of the item whose object it fetches."""

    record: Record
    link: ObjectLink


async def link_item(
    settings: Settings, stores: Mapping[str, StoreOptions], which: str, seconds: int, *, served: bool
) -> ItemLink:
    """The link to the object of the item that `which` names, for so many seconds, at most LONGEST.

    `served`: a daemon runs on this state, and with it an embedded store. Raises NoItem, LinkRefused, StoreError,
    JournalError and its children.
    """
    async with read_journal(settings) as journal:
        record = await recorded_item(journal, which)
    at = record.object_at
    declared = stores.get(at.store)
    if declared is not None and declared.provider is ProviderName.EMBEDDED and not served:
        raise LinkRefused(f"{at}: the embedded store runs only while `mirrord run` does, and so do links to it")
    async with Stores(stores, settings.directory, read_only=True) as opened:
        from mirrord.engine.s3_stores import presigned  # the SDK takes 0.3 s

        return ItemLink(record, await presigned(await opened.at(at), at, seconds))
