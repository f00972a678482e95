"""The keys of one store for SSE-C: the one that a request for an object needs, and the refusals that a key explains.

Owns the words of these refusals. `model.customer_keys` has the digest by which the address of an object names its key,
`arguments` the parameters of a request.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from mirrord.errors import ActionDenied, MirrordError, StoreError, StoreRefused
from mirrord.frozen import frozen
from mirrord.model import UNREADABLE, Destination, Secret, StoredObject, key_digest
from mirrord.s3.answers import results

_REFUSALS = (StoreRefused, ActionDenied)
_OF_KEY = ("server side encryption", "server-side encryption", "ssecustomer")
"""Words of the answers to a request without the key of an object, or with another key, in lower case."""
_OF_OTHERS = ("secure connection", "kms")
"""AWS, MinIO and Ceph refuse any key over plain HTTP, and MinIO objects of a KMS that it does not have: no other key
would help."""


@frozen
class CustomerKeys:
    """The declared keys, by their digests."""

    known: Mapping[str, Secret]

    @classmethod
    def of_store(cls, declared: Mapping[str, Secret]) -> "CustomerKeys":
        """Those of a store, which names them."""
        return cls({key_digest(key): key for key in declared.values()})

    def of(self, at: Destination) -> Secret | None:
        """The key for a read of the object. None: it needs none, or that one is not declared any more; then the answer
        tells whether there is an object."""
        return None if at.customer_key is None else self.known.get(at.customer_key)

    def of_write(self, at: Destination) -> Secret | None:
        """The key for a write. StoreRefused: it is not declared any more, and nothing is written without it."""
        key = self.of(at)
        if key is None and at.customer_key is not None:
            raise StoreRefused(f"{at}: its key (SSE-C) is not in the customer_keys of the store {at.store!r}")
        return key


NO_KEYS = CustomerKeys({})


async def shown_after(
    refusal: StoreError,
    at: Destination,
    keys: CustomerKeys,
    head: Callable[[Destination], Awaitable[Mapping[str, Any] | None]],
) -> StoredObject | None:
    """The object for which a HEAD was refused, if its key is the reason: see `ports.ObjectStore.head_object`. Raises
    `refusal` if it is not.

    To another key AWS and MinIO answer as to a missing right; to a HEAD without a key, that the object needs one. Then
    the other keys of the store are tried: after an edit, or without a journal, they show whose object it is."""
    if keys.of(at) is not None:
        try:
            plain = await head(at.keyed(None))
        except _REFUSALS as error:
            if not names_key(error):
                raise refusal from error
        else:
            return None if plain is None else _with_other_key(plain)
    elif not names_key(refusal):
        raise refusal
    for other in sorted(keys.known.keys() - {at.customer_key}):
        with suppress(*_REFUSALS):
            if (found := await head(at.keyed(other))) is not None:
                return _with_other_key(found)
    return UNREADABLE


def _with_other_key(answer: Mapping[str, Any]) -> StoredObject:
    return replace(results.stored_object(answer), other_key=True)


def names_key(error: MirrordError) -> bool:
    """Whether a refusal says that the object needs a key, or another one."""
    text = str(error).lower()
    return any(words in text for words in _OF_KEY) and not any(words in text for words in _OF_OTHERS)
