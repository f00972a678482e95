"""Presigned URLs (AWS Signature Version 4 in the query): who has one can fetch one object for some time.

Owns what must be true of an object and of the keys before a URL is given away, because a URL that does not work fails
at someone else. `wire.signing` computes the signature.
"""

import time
from datetime import UTC, datetime
from typing import Any

from mirrord.errors import LinkRefused, StoreRefused
from mirrord.model import Destination, ObjectLink
from mirrord.ports import ObjectStore
from mirrord.s3.correcting_client import CorrectingClient
from mirrord.s3.customer_keys import names_key
from mirrord.s3.wire.body_headers import Header
from mirrord.s3.wire.frequent_calls import is_plain_bucket, resolved_bucket
from mirrord.s3.wire.signing import AccessKeys, Signer, encoded_key
from mirrord.units import format_duration

_NEEDS_KEY = (
    "it is encrypted with a key that only its writer has (SSE-C), which a link cannot contain; read it with the "
    "x-amz-server-side-encryption-customer-* headers"
)


async def linkable(store: ObjectStore, at: Destination) -> None:
    """Check by a HEAD that a GET of the object's bytes works now. It also finds the bucket's region.

    Raises LinkRefused: it is missing, archived, or encrypted with a key of the customer; and the errors of a HEAD."""
    if at.customer_key is not None:
        raise LinkRefused(f"{at}: {_NEEDS_KEY}")
    try:
        found = await store.inspect_object(at)
    except StoreRefused as error:
        if names_key(error):
            raise LinkRefused(f"{at}: {_NEEDS_KEY}") from error
        raise
    if found is None:
        raise LinkRefused(f"{at}: the store has no such object; `mirrord status` shows why")
    if found.archived is not None:
        raise LinkRefused(f"{at}: {found.archived}; a link works after the object was restored from the archive")


async def link_to(
    client: CorrectingClient, at: Destination, seconds: int | None, common: tuple[Header, ...] = ()
) -> ObjectLink:
    """The URL of an object, signed for so many seconds; None: not signed. `common`: fields of its query.

    Raises LinkRefused: the keys end sooner, or the bucket is a special one; BotoCoreError: there are no keys."""
    regional = await client.of_bucket(at.bucket)
    found = await resolved_bucket(await regional.opened(), at.bucket) if is_plain_bucket(at.bucket) else None
    if found is None:
        raise LinkRefused(f"{at}: directory buckets and access points have no links of this kind")
    bucket_url, region = found
    url = f"{bucket_url.rstrip('/')}/{encoded_key(at.key)}"
    if seconds is None:
        return ObjectLink(url=url, ends=None)
    credentials: Any = client.security.credentials
    frozen = await credentials.get_frozen_credentials()
    keys, until, now = AccessKeys(frozen.access_key, frozen.secret_key, frozen.token), credentials.until, time.time()
    if until is not None and until < now + seconds:
        raise LinkRefused(_too_long(at.store, until, now))
    signed = Signer(region).presigned(url, keys, client.stamp(), seconds, common)
    return ObjectLink(url=signed, ends=now + seconds, keys_may_end=bool(keys.token) and until is None)


def _too_long(store: str, until: float, now: float) -> str:
    end = datetime.fromtimestamp(until, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    left = format_duration(max(0.0, until - now))
    return (
        f"the store {store!r}: its temporary keys end at {end}, in {left}, and a link ends with its keys; "
        f"give a shorter --expires, or keys that last longer"
    )
