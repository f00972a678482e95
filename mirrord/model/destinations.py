"""The address of an object, and the ids of items, which follow from it."""

from dataclasses import field, replace
from hashlib import sha256
from typing import Self

from mirrord.frozen import frozen


@frozen
class Destination:
    """The address of an object: a store by its name in the manifest and its endpoint, a bucket, a normalised key."""

    store: str
    endpoint: str
    bucket: str
    key: str
    customer_key: str | None = field(default=None, compare=False, repr=False, kw_only=True)
    """The digest (`customer_keys`) of the key for SSE-C that requests for the object need; None: they need none."""

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    @property
    def item_id(self) -> str:
        """The first 16 hex digits of sha256(endpoint, bucket, key). Renaming a store, an entry or a manifest does not
        change it."""
        return sha256(f"{self.endpoint}\n{self.bucket}\n{self.key}".encode()).hexdigest()[:16]

    def keyed(self, customer_key: str | None) -> Self:
        """The same address, for requests with the key of this digest."""
        return self if customer_key == self.customer_key else replace(self, customer_key=customer_key)


@frozen
class VersionAt(Destination):
    """One version of an object in a bucket with versions. Only reads and copies can name it."""

    version_id: str

    def __str__(self) -> str:
        return f"version {self.version_id} of s3://{self.bucket}/{self.key}"


def version_at(at: Destination, version_id: str) -> VersionAt:
    return VersionAt(at.store, at.endpoint, at.bucket, at.key, version_id, customer_key=at.customer_key)


class ItemIds:
    """The ids of many items of one bucket: each is `Destination.item_id`, in a third of the time."""

    def __init__(self, endpoint: str, bucket: str) -> None:
        self._bucket = sha256(f"{endpoint}\n{bucket}\n".encode())

    def of(self, key: str) -> str:
        """The id of the item with this key. A key that is not valid Unicode has an id too, but no item."""
        digest = self._bucket.copy()
        digest.update(key.encode("utf-8", "surrogatepass"))
        return digest.hexdigest()[:16]


def fingerprint(address: str) -> str:
    """The digest of a source's address, used in revisions: it reveals no secret of the address."""
    return sha256(address.encode("utf-8", "surrogateescape")).hexdigest()[:16]
