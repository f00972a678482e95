"""The fields of an entry (a mirror or a folder) and of the `defaults` of a file, with types and descriptions.

Owns the fields of `mirrors`, `folders` and `defaults`. `document` has the other fields, `section` their base class.
"""

from typing import Annotated

from pydantic import BeforeValidator, Field

from mirrord.declared import FolderSpec, FolderTarget
from mirrord.manifest.schema import fields, texts
from mirrord.manifest.schema.fields import Flag, refuse
from mirrord.manifest.schema.section import Section, auto_field, duration_field, size_field
from mirrord.model import HttpOptions, Options, UploadOptions

MOST_URLS = 16
"""URLs of one mirror: more than any network of mirrors needs, and few enough to ask all of them in one check."""
_HTTP, _UPLOAD, _OPTIONS = HttpOptions(), UploadOptions(), Options()
_FOLDER = FolderSpec(entry="", path="", target=FolderTarget(store="", endpoint="", bucket=""))
"""The frozen options with their defaults."""


class BasicSection(Section):
    username: texts.HeaderText = Field(repr=False)
    """User name of HTTP basic authentication."""
    password: texts.HeaderText = Field(repr=False)
    """Password of HTTP basic authentication."""


class HttpSection(Section):
    headers: dict[texts.HeaderName, texts.HeaderText] = Field(default={}, repr=False)
    """Sent to the entry's own origin only."""
    bearer: texts.Token | None = Field(default=None, repr=False)
    """Token for Authorization: Bearer."""
    basic: BasicSection | None = None
    """User name and password for Authorization: Basic."""
    connections: fields.ConnectionCount = _HTTP.connections
    """Parallel ranges of one source."""
    idle_timeout: fields.Duration = duration_field(_HTTP.idle_timeout)
    """Longest time without data from a source."""
    min_rate: fields.ByteRate = size_field(_HTTP.min_rate, per="/s")
    """A source that is slower than this fails."""
    max_redirects: fields.RedirectCount = _HTTP.max_redirects
    """Redirects followed for one request."""
    proxy: texts.ProxyUrl | None = Field(default=None, repr=False)
    """none, or the URL of an HTTP proxy; absent: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY."""
    ca_file: texts.FilePath | None = None
    """PEM file of authorities that are trusted for the source besides the system's."""
    client_cert: texts.FilePath | None = None
    """PEM file with a client certificate and its key, shown to the entry's own origin only."""
    tls_min: fields.TlsVersion | None = None
    """Oldest version of TLS, "1.2" or "1.3"; absent: 1.2."""


class ExpectSection(Section):
    content_type: texts.ContentType | None = None
    """A source of another type is refused, for example a login page instead of a tarball."""


class EncryptionSection(Section):
    mode: fields.EncryptionMode
    """AES256, aws:kms or SSE-C."""
    kms_key_id: texts.Name | None = None
    """Key for aws:kms."""
    customer_key: texts.CustomerKeyName | None = None
    """Key for SSE-C: its name in the customer_keys of the store."""


class ObjectLockSection(Section):
    mode: fields.LockMode | None = None
    """GOVERNANCE or COMPLIANCE; with retain."""
    retain: fields.Duration | None = None
    """Retention time of the object; with mode."""
    legal_hold: Flag | None = None
    """true: a legal hold, which has no end; false: releases the one that true set; absent: neither."""


class ObjectSection(Section):
    content_type: texts.ContentType | None = None
    """Content-Type; absent: the source's header, else by the key's extension, else application/octet-stream."""
    cache_control: texts.HeaderValue | None = None
    """Cache-Control of the object."""
    content_disposition: texts.HeaderValue | None = None
    """Content-Disposition of the object."""
    content_encoding: texts.HeaderValue | None = None
    """Content-Encoding of the object."""
    content_language: texts.Language | None = None
    """Content-Language of the object."""
    expires: texts.Expires | None = None
    """Expires of the object, ISO 8601."""
    metadata: dict[texts.MetaName, texts.MetaText] = Field(default={})
    """x-amz-meta-… of the object."""
    tags: dict[texts.TagName, texts.TagText] = Field(default={})
    """Tags of the object, at most ten."""
    storage_class: texts.StorageClass | None = None
    """Storage class of the object."""
    acl: texts.Acl | None = None
    """Canned ACL of the object."""
    encryption: EncryptionSection | None = None
    """Encryption at rest."""
    lock: ObjectLockSection | None = None
    """Object lock."""


class UploadSection(Section):
    multipart_threshold: fields.Threshold = auto_field()
    """From this size on an object is uploaded in parts; auto: 16 MiB."""
    part_size: fields.PartSize = auto_field()
    """auto: chosen from the size, the store's limits and memory_limit."""
    concurrency: fields.PartConcurrency = _UPLOAD.concurrency
    """Parts of one object that are uploaded at the same time."""


class ChecksumListSection(Section):
    """The address of a file of digests."""

    url: texts.WebUrl = Field(repr=False)
    """A SHA256SUMS file: the form of coreutils, of BSD, or a single digest."""


class ChecksumSection(Section):
    """The expected bytes, by a digest or by a file of digests."""

    digest: texts.Digest | None = None
    url: texts.WebUrl | None = Field(default=None, repr=False)


def _checksum(value: object) -> object:
    if not isinstance(value, dict):
        return {"digest": value}
    if "digest" in value or "url" not in value:
        raise refuse("a checksum is sha256: and 64 hex digits, or {url: …}")
    return value


class PruneSection(Section):
    """Deletion of objects whose item left the manifests."""

    max: fields.Percent | None = None
    """The largest share of an entry's objects that one pass may delete."""


def _prune(value: object) -> object:
    return value if isinstance(value, dict) else PruneSection.model_construct() if fields.read_flag(value) else None


class AfterUploadSection(Section):
    """What happens to an uploaded file: it is moved to the folder `move`; None: it is deleted."""

    move: texts.FilePath | None = None
    """Folder that uploaded files are moved to."""


class MoveSection(Section):
    """The form in a manifest."""

    move: texts.FilePath
    """Folder that uploaded files are moved to."""


def _after(value: object) -> object:
    if isinstance(value, dict):
        if value.get("move") is None:
            raise refuse("after_upload is keep, delete or {move: folder}")
        return value
    return None if fields.AFTER.read(value) == "keep" else AfterUploadSection.model_construct()


PruneField = Annotated[PruneSection | None, BeforeValidator(_prune, json_schema_input_type=Flag | PruneSection)]
ChecksumField = Annotated[
    ChecksumSection, BeforeValidator(_checksum, json_schema_input_type=texts.Digest | ChecksumListSection)
]
AfterField = Annotated[
    AfterUploadSection | None, BeforeValidator(_after, json_schema_input_type=fields.AfterUploadWord | MoveSection)
]


class EntrySection(Section):
    """The fields that mirrors and folders share."""

    store: texts.StoreName | None = None
    """Name of the store; absent: the store default, or the only store."""
    max_size: fields.MaxSize | None = None
    """A larger source is refused."""
    object: ObjectSection = ObjectSection.model_construct()
    """Headers, metadata and tags of the object."""
    upload: UploadSection = UploadSection.model_construct()
    """How an object is divided into parts."""
    overwrite: fields.OverwriteWord = _OPTIONS.overwrite
    """owned: only an object that mirrord wrote; never: no object that exists."""
    drift: fields.DriftWord = _OPTIONS.drift
    """What to do if another program deleted or replaced the object; checked once a minute at most."""
    verify: fields.VerifyMode = "store"
    """What proves the copy: the store's checksum, or reading the object back."""
    prune: PruneField = Field(default=None, json_schema_extra={"default": False})
    """Delete the object when its item leaves the manifests."""
    adopt: Flag = _OPTIONS.adopt
    """An existing object of another tool that has the bytes of the source is taken as it is, not written again."""
    suspend: Flag = _OPTIONS.suspend
    """Do not check or transfer the entry's items."""
    stale_after: fields.StaleAfter = Field(default=_OPTIONS.stale_after, json_schema_extra={"default": "auto"})
    """Time out of sync until item.stale; auto: 3 x every, or 3 x cron's longest gap, at least 1h; folders: never."""
    include: tuple[texts.Pattern, ...] = ()
    """Gitignore patterns of the files of a folder, or of the objects of a prefix; empty: all."""
    exclude: tuple[texts.Pattern, ...] = ()
    """Gitignore patterns of files or objects to ignore; a folder always ignores temporary names."""


class FetchedSection(EntrySection):
    """Further fields of mirrors that `defaults` may have."""

    matrix: dict[texts.PlaceholderName, tuple[texts.MatrixText, ...]] = Field(default={})
    """Values of placeholders; each combination is one item."""
    from_store: texts.StoreName | None = None
    """Store of an s3:// source."""
    every: fields.Every = duration_field(_OPTIONS.schedule.every)
    """How often the source is checked; never: once after each change of the manifest."""
    cron: texts.Cron | None = None
    """A cron line of five fields, instead of every."""
    timezone: texts.TimeZone | None = None
    """Time zone of cron."""
    checksum: ChecksumField | None = None
    """The expected checksum of the bytes: sha256:… or {url: …}."""
    http: HttpSection = HttpSection.model_construct()
    """Settings of the HTTP requests."""
    expect: ExpectSection = ExpectSection.model_construct()
    """Requirements on the source."""


class MirrorSection(FetchedSection):
    """One source with its object, or a list or matrix of sources."""

    url: texts.SourceUrl | None = Field(default=None, repr=False)
    """http(s)://…, file:///… or s3://bucket/key, with placeholders of the matrix; s3://bucket/prefix/: all below it."""
    urls: tuple[texts.WebUrl, ...] | None = Field(default=None, repr=False, min_length=1, max_length=MOST_URLS)
    """The primary http(s):// URL and its fallbacks, tried in order at each check."""
    list: texts.ListLocation | None = Field(default=None, repr=False)
    """A file of sources, or its URL: .tsv, .csv, .jsonl, .txt, SHA256SUMS or PULP_MANIFEST."""
    to: texts.S3Url
    """s3://bucket/key; a trailing / appends the URL's last path segment."""
    name: texts.Name | None = None
    """Name of the entry in messages and status; default: the object's address."""


class WatchedSection(EntrySection):
    """Further fields of folders that `defaults` may have."""

    key: texts.KeyTemplate = _FOLDER.target.key
    """Key below `to`: path, name, stem, ext, date (with a strftime format)."""
    settle: fields.Pause = duration_field(_FOLDER.times.settle)
    """A file is ready when two stats, this time apart, are equal."""
    ready: texts.Marker | None = None
    """Upload a file only when its marker exists: *.done beside the file, or _SUCCESS in its directory."""
    watch: fields.WatchMode = _FOLDER.times.watch
    """How changes are found; auto: by events, but poll if the file system has no events for some changes."""
    poll_interval: fields.Duration = duration_field(_FOLDER.times.poll_interval)
    """Time between scans without events."""
    rescan: fields.Duration = duration_field(_FOLDER.times.rescan)
    """Time between full scans."""
    after_upload: AfterField = Field(default=None, json_schema_extra={"default": "keep"})
    """What happens to an uploaded file: keep, delete, or {move: folder}."""
    delete: fields.DeleteMode = _FOLDER.delete
    """mirror: the object is deleted when the file is deleted."""
    follow_symlinks: Flag = _FOLDER.selection.follow_symlinks
    """Treat a symbolic link as the file or directory that it leads to, inside the folder or not."""


class FolderSection(WatchedSection):
    """A watched local folder and the key prefix of its objects."""

    path: texts.FilePath
    """The folder; a relative path starts at the manifest's directory."""
    to: texts.S3Url
    """s3://bucket/prefix/."""
    name: texts.Name | None = None
    """Name of the entry in messages and status; default: the path."""


class DefaultsSection(FetchedSection, WatchedSection):
    """Defaults for the entries of this file: all fields except those of one entry alone."""
