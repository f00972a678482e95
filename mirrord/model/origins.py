"""The origin of an item's bytes as a type: a URL, a local file, or an object of a store.

Owns the text form of an origin, which the journal records and the status shows. It is the same text as in a manifest:
`http(s)://…`, or `file:///…` and `s3://bucket/key` with nothing encoded. A new kind of source is one more type of
`Origin`.
"""

from dataclasses import field
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

from mirrord.frozen import frozen
from mirrord.model.after_upload import FileAction, KeepFile
from mirrord.model.destinations import Destination, fingerprint

_FILE = "file://"
_OWN_PORTS = {"http": 80, "https": 443}


@frozen
class Url:
    """A source on a host. `text` is the full URL, which may hold secrets."""

    text: str = field(repr=False)

    @property
    def address(self) -> str:
        """The origin as text."""
        return self.text

    @property
    def fingerprint(self) -> str:
        """See `Revision.address`."""
        return fingerprint(self.text)


@frozen
class File:
    """A local file. `root` is the path of the folder that found it; None: an entry names the file itself.

    `name` is relative to `root`, and the file must be inside `root`. Without a root, `name` is the absolute path.
    """

    root: str | None
    name: str
    follow: bool = False
    """The folder has `follow_symlinks`: the file's path may contain symbolic links."""
    after_upload: FileAction = KeepFile()

    @property
    def path(self) -> str:
        """The absolute path."""
        return self.name if self.root is None else f"{directory_prefix(self.root)}{self.name}"

    @property
    def address(self) -> str:
        """The origin as text."""
        return file_address(self.path)

    @property
    def fingerprint(self) -> str:
        """See `Revision.address`."""
        return fingerprint(self.address)


@frozen
class FormerSource:
    """The source of an item that left the manifests. It is not read again: only its text without secrets is known."""

    address: str
    wanted: tuple[Destination, ...] = ()
    """Objects of items in force that may be the object of this item: the same key at another endpoint."""
    listed: Destination | None = None
    """The source, if it is an object that only its absence from a listing took away: that does not prove that it is
    gone."""

    @property
    def fingerprint(self) -> str:
        """See `Revision.address`."""
        return fingerprint(self.address)


class ListedRevision(NamedTuple):
    """What the listing of a prefix showed of an object."""

    prefix: str
    size: int
    etag: str

    def shows(self, length: int | None, etag: str | None) -> bool:
        """Whether it is the revision with these. Listings of some stores have ETags without quotes, or others than
        HEADs."""
        own = self.etag.strip('"')
        return bool(own) and (self.size, own) == (length, (etag or "").strip('"'))


@frozen
class S3Object:
    """An object of a store. If the store of the item's own object has the same endpoint and credentials, `at` names
    that store: it can copy the object itself."""

    at: Destination
    listed: ListedRevision | None = None
    """If a listing found it: another revision is another origin, so the item is checked at once."""

    @property
    def address(self) -> str:
        """The origin as text, without its store."""
        return str(self.at)

    @property
    def fingerprint(self) -> str:
        """See `Revision.address`. Objects of two stores are never the same source."""
        return fingerprint(f"{self.at.endpoint}\n{self.address}")


Origin = Url | File | S3Object | FormerSource


def origin_at(address: str) -> Origin:
    """The origin for a text of an entry, or of a record of a folder: a URL, or a file without a folder."""
    path = file_path(address)
    return Url(address) if path is None else File(None, path)


def host_of(address: str) -> str | None:
    """Host and port of a URL, like `example.org:443`, in lower case; None if it has none."""
    return _host_of_place("/".join(address.split("/", 3)[:3]))


@lru_cache(maxsize=1024)  # each check asks several times
def _host_of_place(place: str) -> str | None:
    scheme = place.partition("://")[0].lower()
    if scheme not in _OWN_PORTS:
        return None
    try:
        parts = urlsplit(place)
        return f"{parts.hostname}:{parts.port or _OWN_PORTS[scheme]}"
    except ValueError:  # the source itself refuses it, with its own message
        return None


def file_address(path: str) -> str:
    """The text form of a local file: `file://` and the absolute path, without any encoding."""
    return f"{_FILE}{path}"


def file_path(address: str) -> str | None:
    """The path in a `file://` address; None: the address is not that of a file."""
    return address.removeprefix(_FILE) if address.startswith(_FILE) else None


def directory_prefix(path: str) -> str:
    """The common prefix of the paths of all files below a directory."""
    return path.rstrip("/") + "/"
