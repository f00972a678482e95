"""An item: one source bound to one object."""

from dataclasses import replace
from typing import NamedTuple

from mirrord.frozen import frozen
from mirrord.model.addresses import shown
from mirrord.model.after_upload import FileAction, KeepFile
from mirrord.model.destinations import Destination
from mirrord.model.observed import Revision
from mirrord.model.options import DeclaredBytes, Options
from mirrord.model.origins import File, Origin, Url

_KEEP = KeepFile()


class SourceOptions(NamedTuple):
    """The part of an item of one source that the time of its first check depends on."""

    entry: str
    origin: Origin
    options: Options

    def source_at(self, address: str) -> Origin | None:
        """See `Item.source_at`."""
        return self.origin if self.origin.fingerprint == address else None


@frozen(kw_only=True)
class Item:
    """One source bound to one object: the unit of reconciliation."""

    id: str
    entry: str
    origin: Origin
    destination: Destination
    options: Options = Options()
    gone: bool = False
    """The object is to be deleted: a complete listing proved that the file does not exist any more, and its entry has
    `delete: mirror`; or the item left the manifests, its entry had `prune`, and the origin is a `FormerSource`."""
    dated: float | None = None
    """The time for `{date}` in its key, in seconds since the epoch; None: the key has no date."""
    declared: DeclaredBytes | None = None
    """The expected bytes, if the item is a row of a list that declares some."""
    urls: tuple[Origin, ...] = ()
    """The primary source and its fallbacks, in the order in which they are tried; `origin` is one of them. Empty: there
    is only `origin`."""

    @property
    def alternatives(self) -> tuple["Item", ...]:
        """The item with each of its sources as `origin`, in the order in which they are tried."""
        return tuple(replace(self, origin=one) for one in self.urls) or (self,)

    @property
    def primary(self) -> Origin:
        """The source that gives the item its name."""
        return self.urls[0] if self.urls else self.origin

    @property
    def has_fallback(self) -> bool:
        """Whether a further source can be asked after `origin`."""
        return bool(self.urls) and self.origin != self.urls[-1]

    def source_at(self, address: str) -> Origin | None:
        """The one of its sources whose address has this fingerprint, as in `Revision.address`; None: it has none."""
        return next((one for one in self.urls or (self.origin,) if one.fingerprint == address), None)

    def shown_source_of(self, revision: Revision | None) -> str:
        """The source that a revision is of, without secrets; None, or a revision of none of its sources: `origin`."""
        served = self.source_at(revision.address) if self.urls and revision is not None else None
        return self.shown_source if served is None else shown_origin(served)

    @property
    def removes_file(self) -> bool:
        """Whether the file is deleted or moved when its object is proven."""
        return not isinstance(self.after_upload, KeepFile)

    @property
    def after_upload(self) -> FileAction:
        """What happens to the origin when its object is proven."""
        return self.origin.after_upload if isinstance(self.origin, File) else _KEEP

    @property
    def declared_sha256(self) -> str | None:
        """The declared sha256 in hex: of its row in a list, else of its entry; None: not declared, or only by the URL
        of a list of digests."""
        if self.declared is not None and self.declared.sha256 is not None:
            return self.declared.sha256.hex()
        checksum = self.options.requires.checksum
        return checksum.sha256 if checksum is not None else None

    @property
    def shown_source(self) -> str:
        """The source without userinfo and query, for logs, journal and status."""
        return shown_origin(self.origin)

    @property
    def folder_file(self) -> File | None:
        """The origin if a folder found it; None if the entry names the origin itself."""
        return self.origin if isinstance(self.origin, File) and self.origin.root is not None else None


def shown_origin(origin: Origin) -> str:
    """The origin without userinfo and query."""
    return shown(origin.text) if isinstance(origin, Url) else origin.address


def mentions(text: str, *names: str) -> bool:
    """Whether one of `names` contains `text`, in upper or lower case: the search for items."""
    wanted = text.casefold()
    return any(wanted in name.casefold() for name in names)
