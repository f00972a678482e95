"""What an entry may say: a mirror, a folder, and the `defaults` of a file; with types and sentences.

Owns the fields of `mirrors`, `folders` and `defaults`; `document` has the rest and `section` what both are made of.
"""

from typing import Annotated

from pydantic import BeforeValidator, Field

from mirrord.declared import FolderSpec, FolderTarget
from mirrord.manifest.schema import fields, texts
from mirrord.manifest.schema.fields import Flag, refuse
from mirrord.manifest.schema.section import Section, auto_field, duration_field, size_field
from mirrord.model import HttpOptions, Options, UploadOptions

_HTTP, _UPLOAD, _OPTIONS = HttpOptions(), UploadOptions(), Options()
_FOLDER = FolderSpec(entry="", path="", target=FolderTarget(store="", endpoint="", bucket=""))
"""The defaults, which the frozen options state."""


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
    """Longest silence of a source."""
    min_rate: fields.ByteRate = size_field(_HTTP.min_rate, per="/s")
    """A source slower than this fails."""
    max_redirects: fields.RedirectCount = _HTTP.max_redirects
    """Redirects followed for one request."""
    proxy: texts.WebUrl | None = Field(default=None, repr=False)
    """HTTP proxy for this entry."""
    ca_file: texts.FilePath | None = None
    """PEM file of the authority that signed the source's certificate."""
    client_cert: texts.FilePath | None = None
    """PEM file with the client's certificate and key."""


class ExpectSection(Section):
    content_type: texts.ContentType | None = None
    """A source of another type is refused: a login page is no tarball."""


class EncryptionSection(Section):
    mode: fields.EncryptionMode
    """AES256 or aws:kms."""
    kms_key_id: texts.Name | None = None
    """Key for aws:kms."""


class ObjectLockSection(Section):
    mode: fields.LockMode
    """GOVERNANCE or COMPLIANCE."""
    retain: fields.Duration
    """How long the object is kept."""


class ObjectSection(Section):
    content_type: texts.ContentType | None = None
    """Absent: the source's header, else by the key's extension, else application/octet-stream."""
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
    """Tags of the object, ten at the most."""
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
    """From this size on an object goes in parts; auto: 16 MiB."""
    part_size: fields.PartSize = auto_field()
    """auto: chosen from the size, the store's limits and memory_limit."""
    concurrency: fields.PartConcurrency = _UPLOAD.concurrency
    """Parts of one object in flight."""


class ChecksumListSection(Section):
    """Where a file of digests is."""

    url: texts.WebUrl = Field(repr=False)
    """A SHA256SUMS file: coreutils, BSD or a single digest."""


class ChecksumSection(Section):
    """What the bytes must be, by a digest or by a file of digests."""

    digest: texts.Digest | None = None
    url: texts.WebUrl | None = Field(default=None, repr=False)


def _checksum(value: object) -> object:
    if not isinstance(value, dict):
        return {"digest": value}
    if "digest" in value or "url" not in value:
        raise refuse("a checksum is sha256: and 64 hex digits, or {url: …}")
    return value


class PruneSection(Section):
    """Deleting what left the manifests."""

    max: fields.Percent | None = None
    """The largest share of an entry that one pass may delete."""


def _prune(value: object) -> object:
    return value if isinstance(value, dict) else PruneSection() if fields.read_flag(value) else None


class AfterUploadSection(Section):
    """What becomes of an uploaded file: it goes to the folder `move`, or if that is None, away."""

    move: texts.FilePath | None = None
    """Folder that uploaded files are moved to."""


class MoveSection(Section):
    """As the manifest writes it."""

    move: texts.FilePath
    """Folder that uploaded files are moved to."""


def _after(value: object) -> object:
    if isinstance(value, dict):
        if value.get("move") is None:
            raise refuse("after_upload is keep, delete or {move: folder}")
        return value
    return None if fields.AFTER.read(value) == "keep" else AfterUploadSection()


PruneField = Annotated[PruneSection | None, BeforeValidator(_prune, json_schema_input_type=Flag | PruneSection)]
ChecksumField = Annotated[
    ChecksumSection, BeforeValidator(_checksum, json_schema_input_type=texts.Digest | ChecksumListSection)
]
AfterField = Annotated[
    AfterUploadSection | None, BeforeValidator(_after, json_schema_input_type=fields.AfterUploadWord | MoveSection)
]


class EntrySection(Section):
    """What mirrors and folders share."""

    store: texts.StoreName | None = None
    """Name of the store; absent: default, or the only one."""
    max_size: fields.MaxSize | None = None
    """A larger source is refused."""
    object: ObjectSection = ObjectSection()
    """What is stored beside the bytes."""
    upload: UploadSection = UploadSection()
    """How an object is cut into parts."""
    overwrite: fields.OverwriteWord = _OPTIONS.overwrite
    """owned: only an object that mirrord wrote; never: no object that stands."""
    drift: fields.DriftWord = _OPTIONS.drift
    """What to do about an object that was deleted or replaced behind our back; looked for once a minute at most."""
    verify: fields.VerifyMode = "store"
    """What proves the copy: the store's checksum, or reading back."""
    prune: PruneField = Field(default=None, json_schema_extra={"default": False})
    """Delete the object when its item leaves the manifests."""
    suspend: Flag = _OPTIONS.suspend
    """Leave the entry's items alone."""


class FetchedSection(EntrySection):
    """What mirrors have beyond that, and may come from `defaults`."""

    matrix: dict[texts.PlaceholderName, tuple[texts.MatrixText, ...]] = Field(default={})
    """One item for each combination of these values."""
    from_store: texts.StoreName | None = None
    """Store of an s3:// source."""
    every: fields.Every = duration_field(_OPTIONS.schedule.every)
    """How often the source is looked at; never: once per change of the manifest."""
    cron: texts.Cron | None = None
    """Five fields, instead of every."""
    timezone: texts.TimeZone | None = None
    """Time zone of cron."""
    checksum: ChecksumField | None = None
    """What the bytes must be: sha256:… or {url: …}."""
    http: HttpSection = HttpSection()
    """How the URL is asked."""
    expect: ExpectSection = ExpectSection()
    """What the source must be."""


class MirrorSection(FetchedSection):
    """One source, or a list or matrix of them, and its object."""

    url: texts.SourceUrl | None = Field(default=None, repr=False)
    """http(s)://…, file:///… or s3://…; may hold placeholders of the matrix."""
    urls: tuple[texts.SourceUrl, ...] | None = Field(default=None, repr=False, min_length=1)
    """Primary and fallbacks, tried in order."""
    list: texts.FilePath | None = None
    """A file of sources: .tsv, .csv, .jsonl or .txt."""
    to: texts.S3Url
    """s3://bucket/key; a trailing / appends the URL's last path segment."""
    name: texts.Name | None = None
    """For people; default: the object's address."""


class WatchedSection(EntrySection):
    """What folders have beyond an entry, and may come from `defaults`."""

    include: tuple[texts.Pattern, ...] = ()
    """Gitignore patterns of the files to take; empty: all."""
    exclude: tuple[texts.Pattern, ...] = ()
    """Gitignore patterns of files to leave; temporary names are left anyway."""
    key: texts.KeyTemplate = _FOLDER.target.key
    """Key below `to`: path, name, stem, ext, date (with a strftime format)."""
    settle: fields.Pause = duration_field(_FOLDER.times.settle)
    """Two equal stats this far apart make a file ready."""
    ready: texts.Marker | None = None
    """Upload a file only once its marker stands: *.done beside the file, or _SUCCESS in its directory."""
    watch: fields.WatchMode = _FOLDER.times.watch
    """How changes are noticed; auto: by events, but poll where the file system has none for some changes."""
    poll_interval: fields.Duration = duration_field(_FOLDER.times.poll_interval)
    """Time between looks where events are not to be had."""
    rescan: fields.Duration = duration_field(_FOLDER.times.rescan)
    """Time between full scans."""
    after_upload: AfterField = Field(default=None, json_schema_extra={"default": "keep"})
    """What becomes of an uploaded file: keep, delete, or {move: folder}."""
    delete: fields.DeleteMode = _FOLDER.delete
    """mirror: the object goes when the file goes."""
    follow_symlinks: Flag = _FOLDER.selection.follow_symlinks
    """Take a symbolic link for what it leads to, inside the folder or not."""


class FolderSection(WatchedSection):
    """A watched local folder and the key prefix that its files go to."""

    path: texts.FilePath
    """The folder; relative to the manifest."""
    to: texts.S3Url
    """s3://bucket/prefix/."""
    name: texts.Name | None = None
    """For people; default: the path."""


class DefaultsSection(FetchedSection, WatchedSection):
    """Any field of an entry but what makes it that entry; for this file's entries."""
