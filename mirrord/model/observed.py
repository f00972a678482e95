"""The state of a source and of a store now: revisions, objects, parts, open uploads. Sizes are bytes."""

from collections.abc import Mapping
from dataclasses import field
from datetime import UTC, datetime
from os import stat_result
from typing import NamedTuple, Self

from mirrord.frozen import frozen
from mirrord.model.kinds import ChecksumKind
from mirrord.model.options import ObjectOptions


@frozen
class FileIdentity:
    """The fields of stat(2) that distinguish one state of a local file from another."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, found: stat_result) -> Self:
        """From the result of stat(2) or lstat(2)."""
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


@frozen(kw_only=True)
class Revision:
    """The identity of one version of a source. Revisions of different addresses are never equal."""

    address: str  # fingerprint() of the source's address
    etag: str | None = None  # as sent: quoted, `W/` kept
    last_modified: str | None = None  # as sent
    length: int | None = None
    digest: str | None = None  # "sha256:<hex>" or "md5:<hex>": a declared one, once the bytes were compared with it
    file: FileIdentity | None = None
    location: str | None = None
    """After redirects: the fingerprint of the URL of the response. Its validators belong to that URL only."""
    departs: bool | None = field(
        default=None, compare=False
    )  # recorded for a file that `after_upload` deletes or moves
    restored: str | None = field(default=None, compare=False)
    """The id of the version of the object that was made current again while the source had this revision: the object
    has that version's bytes, until the source has another revision."""

    @property
    def strong_etag(self) -> str | None:
        """The ETag if RFC 9110 allows it in If-Range: not weak, not empty. None otherwise."""
        return self.etag if self.etag and self.etag.startswith('"') and len(self.etag) > 2 else None


@frozen
class Checksum:
    """A digest of some bytes. `value` is base64, as in S3 headers; hex is only for display."""

    kind: ChecksumKind
    value: str


@frozen(kw_only=True)
class StoredObject:
    """An object as the store reports it. `etag` is quoted, as sent; metadata keys are lower case, without
    `x-amz-meta-`."""

    size: int
    etag: str
    last_modified: float | None = None
    version_id: str | None = None
    checksum: Checksum | None = None  # only a full-object checksum
    composite: Checksum | None = None  # of the digests of its parts
    metadata: Mapping[str, str] = field(default_factory=dict)
    content_type: str | None = None
    from_head: bool = field(default=False, compare=False)
    """From a HeadObject response; False: from the response to a write."""
    has_key: bool = field(default=False, compare=False)
    """Encrypted with a key of a KMS or of the customer: at AWS the ETag is then no MD5, although it looks like one."""
    other_key: bool = False
    """It is not encrypted with the key of the request (SSE-C): with another one, or not at all."""

    @property
    def unreadable(self) -> bool:
        """Whether nothing is known of it but that it exists, because its key is not declared."""
        return self.other_key and not self.etag


UNREADABLE = StoredObject(size=0, etag="", from_head=True, other_key=True)
"""An object that needs a key for SSE-C which is not declared."""


@frozen
class ObjectLock:
    """The lock of an object: `mode` is GOVERNANCE or COMPLIANCE, `until` in seconds since the epoch."""

    mode: str
    until: float

    def __str__(self) -> str:
        return f"{datetime.fromtimestamp(self.until, UTC):%Y-%m-%d %H:%M:%S} UTC ({self.mode})"


@frozen(kw_only=True)
class ObjectDetails:
    """All that a HEAD shows of an object that is a source."""

    stored: StoredObject
    kept: ObjectOptions
    """The headers and metadata that a copy of it keeps; tags only if they were asked for."""
    tags: int = 0
    """How many tags it has."""
    parts: int | None = None
    """Of the upload that wrote it, if the HEAD was of one part; `stored.size` is then the size of that part."""
    archived: str | None = None
    """Why its bytes cannot be read now: its archived storage class."""
    storage_class: str | None = None
    """As HEAD shows it; S3 does not show STANDARD."""
    encryption: str | None = None
    """AES256, aws:kms or another mode; None: it has none, or the store does not show it."""
    customer_key: bool = False
    """It is encrypted with the key of the request (SSE-C)."""
    lock: ObjectLock | None = None
    """None: it has none, or the credentials may not read it."""
    legal_hold: bool | None = None
    """None: it never had one, or the credentials may not read it."""


@frozen(kw_only=True)
class ObjectLink:
    """A URL of an object's bytes."""

    url: str
    ends: float | None
    """Seconds since the epoch; None: the store is anonymous, so that the URL is not signed and does not end."""
    keys_may_end: bool = False
    """Signed with temporary keys whose end is not known: the URL ends with them."""


@frozen(kw_only=True)
class Observed:
    """The state of a source now: its revision, and the properties that the object inherits."""

    revision: Revision
    content_type: str | None = None
    content_encoding: str | None = None
    ranges: bool = False
    """Whether a byte range of exactly this revision can be requested."""
    end_proven: bool = True
    """False: nothing proves that the source ends where its stream ends, as of a response without length and chunks."""
    object: "ObjectDetails | None" = None
    """The source if it is an object of a store."""


@frozen(kw_only=True)
class Part:
    """One uploaded part of a multipart upload. Numbers start at 1."""

    number: int
    size: int
    etag: str
    checksum: Checksum | None = None


@frozen
class ObjectVersion:
    """One version of an object, or one delete marker, from ListObjectVersions."""

    version_id: str
    last_modified: float | None = None  # by the store's clock
    size: int = 0
    etag: str = ""
    current: bool = False
    deleted: bool = False
    """It is a delete marker: the object was deleted, and has no bytes."""


class ListedObject(NamedTuple):
    """One object in an answer to ListObjectsV2; a tuple, because one answer has a thousand. `etag` is as sent, with or
    without quotes."""

    key: str
    size: int
    etag: str


@frozen
class Upload:
    """An open multipart upload at a store, from ListMultipartUploads."""

    key: str
    upload_id: str
    initiated: float  # by the store's clock
    listed: float | None = None  # the store's clock at the time of the list, from its Date header; None: unknown


# ── metadata of each object that mirrord writes ───────────────────────────────────────────────────
META_TRANSFER = "mirrord-transfer"
META_VALIDATOR = "mirrord-validator"
META_SHA256 = "mirrord-sha256"
META_MD5 = "mirrord-md5"
"""Only where a list declares an md5 and no sha256."""
