"""The address of an object, and the ids of items, which follow from it."""

from hashlib import sha256

from mirrord.frozen import frozen


@frozen
class Destination:
    """The address of an object: a store by its name in the manifest and its endpoint, a bucket, a normalised key."""

    store: str
    endpoint: str
    bucket: str
    key: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    @property
    def item_id(self) -> str:
        """The first 16 hex digits of sha256(endpoint, bucket, key). Renaming a store, an entry or a manifest does not
        change it."""
        return sha256(f"{self.endpoint}\n{self.bucket}\n{self.key}".encode()).hexdigest()[:16]


@frozen
class VersionAt(Destination):
    """One version of an object in a bucket with versions. Only reads and copies can name it."""

    version_id: str

    def __str__(self) -> str:
        return f"version {self.version_id} of s3://{self.bucket}/{self.key}"


def version_at(at: Destination, version_id: str) -> VersionAt:
    return VersionAt(at.store, at.endpoint, at.bucket, at.key, version_id)


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
