"""The settings of an entry for its items, as frozen values. Durations are seconds, sizes bytes."""

from collections.abc import Mapping
from dataclasses import field, replace

from mirrord.frozen import frozen
from mirrord.model.kinds import Drift, Overwrite
from mirrord.model.secret import Secret
from mirrord.units import KiB

TLS_VERSIONS = ("1.2", "1.3")
"""Values of `tls_min`. Older versions are never used."""


@frozen(kw_only=True)
class ConnectionOptions:
    """How connections to a source or a store are opened. Paths are absolute."""

    ca_file: str | None = None  # PEM; None: the system's authorities
    client_cert: str | None = None  # PEM with certificate and key
    tls_min: str | None = None  # 1.2, 1.3; None: 1.2
    proxy: Secret | None = field(default=None, repr=False)  # none, or a URL with its userinfo; None: the environment's


USUAL_CONNECTION = ConnectionOptions()


@frozen(kw_only=True)
class HttpOptions:
    """Settings of the HTTP requests for one entry. `headers` includes bearer and basic credentials."""

    headers: Mapping[str, Secret] = field(default_factory=dict, repr=False)
    connections: int = 4
    idle_timeout: float = 60.0
    min_rate: int = KiB  # bytes a second
    max_redirects: int = 10
    connection: ConnectionOptions = USUAL_CONNECTION

    @property
    def elsewhere(self) -> "HttpOptions":
        """The same for another origin than the entry's own: without headers and client certificate."""
        connection = self.connection
        if connection.client_cert is not None:
            connection = replace(connection, client_cert=None)
        return replace(self, headers={}, connection=connection)


@frozen(kw_only=True)
class ObjectOptions:
    """Headers, metadata and tags of an object, with S3's names. None or empty: not sent.

    The journal records a digest of the `repr`: it must not change, so the fields of the lock and of SSE-C are not part
    of it."""

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
    lock_mode: str | None = field(default=None, repr=False)  # GOVERNANCE or COMPLIANCE; with `retain`
    retain: float | None = field(default=None, repr=False)
    """Seconds for which the object is locked, from its write on."""
    legal_hold: bool | None = field(default=None, repr=False)
    """True: it gets a legal hold. False: the one that an earlier True set is released. None: neither."""
    customer_key: str | None = field(default=None, repr=False)
    """The digest of the key for SSE-C, as in `Destination`; None: another encryption, or none."""

    @property
    def locks(self) -> bool:
        """Whether the object gets a lock or a legal hold."""
        return self.lock_mode is not None or bool(self.legal_hold)


@frozen(kw_only=True)
class UploadOptions:
    """The division into parts. None: `planning.transfers.parts` chooses from size, provider and memory limit."""

    multipart_threshold: int | None = None
    part_size: int | None = None
    concurrency: int = 4


@frozen
class DeclaredSum:
    """The expected bytes of a source: a sha256 (64 hex digits, lower case), or the URL of a list that holds it."""

    sha256: str | None = None
    url: str | None = field(default=None, repr=False)


@frozen
class DeclaredBytes:
    """The expected bytes of one item, from its row in a list: length in bytes, md5 and sha256 as raw digests. None: not
    declared. Raw, because a list may have a million rows."""

    size: int | None = None
    md5: bytes | None = None
    sha256: bytes | None = None

    @property
    def digest(self) -> str | None:
        """The strongest declared digest in the form of `Revision.digest`; None: there is none."""
        if self.sha256 is not None:
            return f"sha256:{self.sha256.hex()}"
        return f"md5:{self.md5.hex()}" if self.md5 is not None else None


@frozen(kw_only=True)
class Schedule:
    """When the items of an entry are checked."""

    every: float | None = 3600.0
    """Seconds between two checks; None: `cron` decides, or there is no regular check."""
    cron: str | None = None
    """Five fields, or a name like `@daily`. Where it is set, `every` is not used."""
    timezone: str | None = None
    """The time zone of `cron`, an IANA name; None: UTC."""


@frozen(kw_only=True)
class SourceRequirements:
    """What a source must be; it is refused otherwise. None: no requirement."""

    max_size: int | None = None
    content_type: str | None = None
    checksum: DeclaredSum | None = None


@frozen(kw_only=True)
class Options:
    """All settings of an entry for its items. All items of the entry share one instance."""

    schedule: Schedule = Schedule()
    http: HttpOptions = HttpOptions()
    object: ObjectOptions = ObjectOptions()
    upload: UploadOptions = UploadOptions()
    requires: SourceRequirements = SourceRequirements()
    readback: bool = False
    """The object is read back and compared before the transfer counts as done."""
    overwrite: Overwrite = Overwrite.ALWAYS
    drift: Drift = Drift.REPAIR
    adopt: bool = True
    """An object of another tool that has the bytes of the source counts as in sync."""
    suspend: bool = False
    stale_after: float | None = 0.0
    """Seconds out of sync after which an item is stale; None: never; 0: `planning.notifications.staleness` decides."""
