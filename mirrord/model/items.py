"""An item (one source bound to one object), and where its object stands."""

from dataclasses import dataclass, field
from hashlib import sha256

from mirrord.model.addresses import shown
from mirrord.model.after_upload import FileAction, KeepFile
from mirrord.model.options import Options


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
    """One source bound to one object: the unit of reconciliation.

    `source` is a full URL (`http(s)://…`, maybe with secrets in it) or a local path as `file:///…`.
    """

    id: str
    entry: str
    source: str = field(repr=False)
    destination: Destination
    options: Options = Options()
    root: str | None = None
    """For a file found by a folder: the folder's path, which the file may not leave."""
    follow: bool = False
    """The folder says `follow_symlinks`: a link at the file's path or on the way to it leads to the file."""
    after_upload: FileAction = KeepFile()
    gone: bool = False
    """The file went and the folder says `delete: mirror`: the object is to go, too."""
    dated: float | None = None
    """The moment that `{date}` stands for in its key, in seconds since the epoch; None: the key has no date."""

    @property
    def removes_file(self) -> bool:
        """Whether the file is deleted or moved once its object is proven."""
        return not isinstance(self.after_upload, KeepFile)

    @property
    def shown_source(self) -> str:
        """The source without userinfo and query, fit for logs, journal and status."""
        return shown(self.source)


def file_address(path: str) -> str:
    """How a local file is named as a source: the absolute path after the scheme, nothing in it encoded."""
    return f"file://{path}"


def mentions(text: str, *names: str) -> bool:
    """Whether one of `names` holds `text`, in upper or lower case: how people look for items."""
    wanted = text.casefold()
    return any(wanted in name.casefold() for name in names)


def fingerprint(address: str) -> str:
    """What stands for a source's address in a revision: no secret can be read from it."""
    return sha256(address.encode("utf-8", "surrogateescape")).hexdigest()[:16]
