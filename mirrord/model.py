"""The nouns of mirrord as frozen dataclasses and enums. No I/O, no clock, no behaviour beyond reading themselves.

Desired: `Item` with its `Options`. Observed: `Revision`, `Observed` (a source now), `StoredObject` (a store now).
Recorded: `Record` (an item in the journal), `Transfer` (one attempt's intent). The words are those of docs/glossary.
Times are seconds since the epoch (float, UTC); sizes are bytes; durations seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from os import stat_result
from typing import Self

from mirrord.errors import Reason
from mirrord.units import KiB


class State(StrEnum):
    """Where an item stands; about the object, not about the last attempt."""

    SYNCED = "Synced"
    PENDING = "Pending"
    TRANSFERRING = "Transferring"
    WAITING = "Waiting"
    RETRYING = "Retrying"
    BLOCKED = "Blocked"
    SUSPENDED = "Suspended"


class TransferKind(StrEnum):
    PUT = "put"
    MULTIPART = "multipart"


class ChecksumKind(StrEnum):
    CRC64NVME = "crc64nvme"
    CRC32C = "crc32c"
    CRC32 = "crc32"
    SHA256 = "sha256"
    MD5 = "md5"
    NONE = "none"


class ProviderName(StrEnum):
    AWS = "aws"
    MINIO = "minio"
    SEAWEEDFS = "seaweedfs"
    CEPH = "ceph"
    R2 = "r2"
    B2 = "b2"
    GCS = "gcs"
    WASABI = "wasabi"
    DIGITALOCEAN = "digitalocean"
    YANDEX = "yandex"
    SELECTEL = "selectel"
    VK = "vk"
    CLOUDRU = "cloudru"
    STORJ = "storj"
    SCALEWAY = "scaleway"
    GENERIC = "generic"
    EMBEDDED = "embedded"


class Integrity(StrEnum):
    """What proved a copy, best first (guarantee 3)."""

    FULL_OBJECT = "full-object checksum"
    COMPOSITE = "composite checksum"
    MD5 = "md5"
    READBACK = "readback"
    LENGTH = "length only"


class Overwrite(StrEnum):
    ALWAYS = "always"
    OWNED = "owned"
    NEVER = "never"


class Drift(StrEnum):
    REPAIR = "repair"
    REPORT = "report"
    IGNORE = "ignore"


# ── desired ───────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOptions:
    """How one entry's URL is asked. `headers` already holds bearer and basic credentials, so it is secret."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    connections: int = 4
    idle_timeout: float = 60.0
    min_rate: int = KiB  # bytes a second
    max_redirects: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectOptions:
    """What is stored beside the bytes, in S3's own words. None or empty: not sent."""

    content_type: str | None = None
    cache_control: str | None = None
    content_disposition: str | None = None
    content_encoding: str | None = None
    content_language: str | None = None
    expires: str | None = None  # ISO 8601
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    storage_class: str | None = None
    acl: str | None = None
    encryption: str | None = None  # AES256 or aws:kms
    kms_key_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadOptions:
    """Cutting into parts. None: chosen by `planning.parts` from the size, the provider and the memory limit."""

    multipart_threshold: int | None = None
    part_size: int | None = None
    concurrency: int = 4


@dataclass(frozen=True, slots=True)
class DeclaredSum:
    """What an entry's bytes must be: a sha256 (64 hex digits, lower case), or the URL of a list that holds it."""

    sha256: str | None = None
    url: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Everything an entry says about its items; one instance is shared by all items of the entry."""

    every: float | None = 3600.0  # None: never, or by `cron`
    cron: str | None = None  # five fields; wins over `every`
    timezone: str | None = None  # of `cron`, an IANA name; None: UTC
    http: HttpOptions = HttpOptions()
    object: ObjectOptions = ObjectOptions()
    upload: UploadOptions = UploadOptions()
    checksum: DeclaredSum | None = None
    readback: bool = False
    """The object is read back and compared before the copy counts."""
    max_size: int | None = None
    expect_content_type: str | None = None
    overwrite: Overwrite = Overwrite.ALWAYS
    drift: Drift = Drift.REPAIR
    suspend: bool = False


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
    after_upload: str | None = None  # "": the file is deleted; else the directory that it is moved to; None: it stays
    gone: bool = False
    """The file went and the folder says `delete: mirror`: the object is to go, too."""
    dated: float | None = None
    """The moment that `{date}` stands for in its key, in seconds since the epoch; None: the key has no date."""

    @property
    def shown_source(self) -> str:
        """The source without userinfo and query, fit for logs, journal and status."""
        return shown(self.source)


def shown(address: str) -> str:
    """An address without its secrets: userinfo, query and fragment are cut from URLs."""
    scheme, separator, rest = address.partition("://")
    if not separator or scheme == "file":
        return address
    rest = rest.split("?", 1)[0].split("#", 1)[0]
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"


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


# ── observed ──────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class FileIdentity:
    """What tells one state of a local file from another, from stat(2)."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, found: stat_result) -> Self:
        """From what stat(2) or lstat(2) says."""
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """What identifies one version of a source. Two revisions of different addresses never compare equal."""

    address: str  # fingerprint() of the source's address
    etag: str | None = None  # as sent: quoted, `W/` kept
    last_modified: str | None = None  # as sent
    length: int | None = None
    digest: str | None = None  # "sha256:<hex>"
    file: FileIdentity | None = None
    location: str | None = None
    """Behind redirects: the fingerprint of where the answer came from, for its validators belong to that URL only."""
    departs: bool | None = field(default=None, compare=False)  # recorded of a file that `after_upload` takes away

    @property
    def strong_etag(self) -> str | None:
        """The ETag if RFC 9110 lets ranges be pinned to it: not weak, not empty."""
        return self.etag if self.etag and self.etag.startswith('"') and len(self.etag) > 2 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """A source as it is now: its revision and what the object inherits from it."""

    revision: Revision
    content_type: str | None = None
    content_encoding: str | None = None
    ranges: bool = False
    """Whether a byte range, pinned to this revision, can be asked for."""


@dataclass(frozen=True, slots=True)
class Checksum:
    """A digest of some bytes. `value` is base64, as S3 headers carry it; hex only for people."""

    kind: ChecksumKind
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """An object as the store describes it. `etag` is quoted, as sent; metadata keys are lower case, bare."""

    size: int
    etag: str
    last_modified: float | None = None
    version_id: str | None = None
    checksum: Checksum | None = None  # only a full-object checksum
    metadata: Mapping[str, str] = field(default_factory=dict)
    content_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One uploaded part of a multipart upload; numbers count from 1."""

    number: int
    size: int
    etag: str
    checksum: Checksum | None = None


@dataclass(frozen=True, slots=True)
class Upload:
    """A multipart upload that stands open at a store, as ListMultipartUploads shows it."""

    key: str
    upload_id: str
    initiated: float  # by the store's clock
    listed: float | None = None  # the store's clock when it said so; None: it did not say


# ── recorded ──────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """The intent of one transfer, journaled before the store is asked for anything, and how far it got."""

    id: str
    item_id: str
    destination: Destination
    revision: Revision
    kind: TransferKind
    part_size: int | None = None  # None for a single put
    started: float
    checksum_kind: ChecksumKind = ChecksumKind.NONE  # of each part
    options_digest: str | None = None
    """Of all that the object is written with: parts of an upload that was created with other options are of no use."""
    upload_id: str | None = None  # None: no upload was opened, or a crash came before its id was known
    completing: bool = False
    """The store was asked to make the object visible: whether it did is for the store to say."""
    whole: Checksum | None = None  # of the object, once completing
    settled: float | None = None
    """When it was given up although something of it may be left at the store, for a sweep to remove; None: it runs, or
    may go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """The end of a transfer: what stands at the store, and what proved it."""

    transfer_id: str
    revision: Revision
    kind: TransferKind
    size: int
    parts: int
    etag: str
    checksum: Checksum | None
    integrity: Integrity
    reused: bool = False  # the store made it of an object that held these bytes: none was sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What the journal knows of an item: the revision that its object holds, and the item's state."""

    item_id: str
    entry: str
    source: str  # shown(), without secrets
    destination: Destination
    state: State
    reason: Reason | None = None
    message: str = ""
    since: float = 0.0
    next_check: float | None = None
    revision: Revision | None = None
    transfer_id: str | None = None
    etag: str | None = None
    size: int | None = None
    checksum: Checksum | None = None
    integrity: Integrity | None = None
    synced_at: float | None = None
    options_digest: str | None = None
    """Of the ObjectOptions that the object was written with: a change of them writes again."""
    removed: float | None = None
    """When its item left the manifests; None: it is in force."""
    dated: float | None = None
    """As `Item.dated`: kept for the file's path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one look at an item; whoever schedules decides from it when to look again."""

    state: State
    reason: Reason | None = None
    message: str = ""
    retry_in: float | None = None  # seconds; only with Retrying
    copied: Copied | None = None  # None: no bytes were moved
    tried: bool = True
    """False: held back by a breaker. Nothing was asked, and it counts as no failure."""
    pruned: bool = False
    """The object was deleted, as its file was."""


# ── metadata that every object of ours carries ────────────────────────────────────────────────────
META_TRANSFER = "mirrord-transfer"
META_VALIDATOR = "mirrord-validator"
META_SHA256 = "mirrord-sha256"
