"""An item (one source bound to one object), and where its object stands."""

from dataclasses import dataclass
from hashlib import sha256

from mirrord.model.addresses import shown
from mirrord.model.after_upload import FileAction, KeepFile
from mirrord.model.options import Options
from mirrord.model.origins import File, Origin

_KEEP = KeepFile()


@dataclass(frozen=True, slots=True)
class Destination:
    """Where an object stands: a store by its manifest name and endpoint, a bucket, a normalised key."""

    store: str
    endpoint: str
    bucket: str
    key: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    @property
    def item_id(self) -> str:
        """First 16 hex digits of sha256(endpoint, bucket, key): renaming a store, entry or file keeps it."""
        return sha256(f"{self.endpoint}\n{self.bucket}\n{self.key}".encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One source bound to one object: the unit of reconciliation."""

    id: str
    entry: str
    origin: Origin
    destination: Destination
    options: Options = Options()
    gone: bool = False
    """A complete listing proved that the source is gone, and its entry says `delete: mirror`: delete the object."""
    dated: float | None = None
    """The moment that `{date}` stands for in its key, in seconds since the epoch; None: the key has no date."""

    @property
    def removes_file(self) -> bool:
        """Whether the file is deleted or moved once its object is proven."""
        return not isinstance(self.after_upload, KeepFile)

    @property
    def after_upload(self) -> FileAction:
        """What becomes of the origin once its object is proven."""
        return self.origin.after_upload if isinstance(self.origin, File) else _KEEP

    @property
    def shown_source(self) -> str:
        """The source without userinfo and query, fit for logs, journal and status."""
        return shown(self.origin.address)

    @property
    def folder_file(self) -> File | None:
        """The origin, if a folder found it; None for what an entry names itself."""
        return self.origin if isinstance(self.origin, File) and self.origin.root is not None else None


def mentions(text: str, *names: str) -> bool:
    """Whether one of `names` holds `text`, in upper or lower case: how people look for items."""
    wanted = text.casefold()
    return any(wanted in name.casefold() for name in names)


def fingerprint(address: str) -> str:
    """What stands for a source's address in a revision: no secret can be read from it."""
    return sha256(address.encode("utf-8", "surrogateescape")).hexdigest()[:16]
