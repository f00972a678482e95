"""What a source and a store show now: revisions, objects, parts, open uploads. Sizes are bytes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import stat_result
from typing import Self

from mirrord.model.kinds import ChecksumKind


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
    composite: Checksum | None = None  # of the digests of its parts
    metadata: Mapping[str, str] = field(default_factory=dict)
    content_type: str | None = None
    from_head: bool = field(default=False, compare=False)
    """HeadObject showed it; otherwise it is what the answer to a write said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One uploaded part of a multipart upload; numbers count from 1."""

    number: int
    size: int
    etag: str
    checksum: Checksum | None = None


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """One version of an object, as ListObjectVersions shows it."""

    version_id: str
    last_modified: float | None = None  # by the store's clock


@dataclass(frozen=True, slots=True)
class Upload:
    """A multipart upload that stands open at a store, as ListMultipartUploads shows it."""

    key: str
    upload_id: str
    initiated: float  # by the store's clock
    listed: float | None = None  # the store's clock when it said so; None: it did not say


# ── metadata that every object of ours carries ────────────────────────────────────────────────────
META_TRANSFER = "mirrord-transfer"
META_VALIDATOR = "mirrord-validator"
META_SHA256 = "mirrord-sha256"
