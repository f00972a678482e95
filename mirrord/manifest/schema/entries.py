"""What an entry may say: a mirror, a folder, and the `defaults` of a file; with types and sentences.

Owns the fields of `mirrors`, `folders` and `defaults`; `document` has the rest and `section` what both are made of.
"""

from typing import Annotated

from pydantic import BeforeValidator, Field

from mirrord.declared import FolderSpec
from mirrord.manifest.schema import fields, texts
from mirrord.manifest.schema.fields import Flag, refuse
from mirrord.manifest.schema.section import Section, chosen_by_mirrord, lasting, sized
from mirrord.model import HttpOptions, Options, UploadOptions

_HTTP, _UPLOAD, _OPTIONS = HttpOptions(), UploadOptions(), Options()
_FOLDER = FolderSpec(entry="", path="", store="", endpoint="", bucket="")
"""The defaults, which the frozen options state."""


class Basic(Section):
    username: texts.HeaderText = Field(repr=False)
    """User name of HTTP basic authentication."""
    password: texts.HeaderText = Field(repr=False)
    """Password of HTTP basic authentication."""


class Http(Section):
    headers: dict[texts.HeaderName, texts.HeaderText] = Field(default={}, repr=False)
    """Sent to the entry's own origin only."""
    bearer: texts.Token | None = Field(default=None, repr=False)
    """Token for Authorization: Bearer."""
    basic: Basic | None = None
    """User name and password for Authorization: Basic."""
    connections: fields.Connections = _HTTP.connections
    """Parallel ranges of one source."""
    idle_timeout: fields.Duration = lasting(_HTTP.idle_timeout)
    """Longest silence of a source."""
    min_rate: fields.Rate = sized(_HTTP.min_rate, per="/s")
    """A source slower than this fails."""
    max_redirects: fields.Redirects = _HTTP.max_redirects
    """Redirects followed for one request."""
    proxy: texts.WebUrl | None = Field(default=None, repr=False)
    """HTTP proxy for this entry."""
    ca_file: texts.FilePath | None = None
    """PEM file of the authority that signed the source's certificate."""
    client_cert: texts.FilePath | None = None
    """PEM file with the client's certificate and key."""


class Expect(Section):
    content_type: texts.ContentType | None = None
    """A source of another type is refused: a login page is no tarball."""


class Encryption(Section):
    mode: fields.Encryption
    """AES256 or aws:kms."""
    kms_key_id: texts.Name | None = None
    """Key for aws:kms."""


class ObjectLock(Section):
    mode: fields.LockMode
    """GOVERNANCE or COMPLIANCE."""
    retain: fields.Duration
    """How long the object is kept."""


class ObjectSettings(Section):
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
    encryption: Encryption | None = None
    """Encryption at rest."""
    lock: ObjectLock | None = None
    """Object lock."""


class Upload(Section):
    multipart_threshold: fields.Threshold = chosen_by_mirrord()
    """From this size on an object goes in parts; auto: 16 MiB."""
    part_size: fields.PartSize = chosen_by_mirrord()
    """auto: chosen from the size, the store's limits and memory_limit."""
    concurrency: fields.Concurrency = _UPLOAD.concurrency
    """Parts of one object in flight."""


class ChecksumList(Section):
    """Where a file of digests is."""

    url: texts.WebUrl = Field(repr=False)
    """A SHA256SUMS file: coreutils, BSD or a single digest."""


class DeclaredChecksum(Section):
    """What the bytes must be, by a digest or by a file of digests."""

    digest: texts.Digest | None = None
    url: texts.WebUrl | None = Field(default=None, repr=False)


def _checksum(value: object) -> object:
    if not isinstance(value, dict):
        return {"digest": value}
    if "digest" in value or "url" not in value:
        raise refuse("a checksum is sha256: and 64 hex digits, or {url: …}")
    return value


class Prune(Section):
    """Deleting what left the manifests."""

    max: fields.Percent | None = None
    """The largest share of an entry that one pass may delete."""


def _prune(value: object) -> object:
    return value if isinstance(value, dict) else Prune() if fields.read_flag(value) else None


class DeclaredAfterUpload(Section):
    """What becomes of an uploaded file: it goes to the folder `move`, or if that is None, away."""

    move: texts.FilePath | None = None
    """Folder that uploaded files are moved to."""


class Move(Section):
    """As the manifest writes it."""

    move: texts.FilePath
    """Folder that uploaded files are moved to."""


def _after(value: object) -> object:
    if isinstance(value, dict):
        if value.get("move") is None:
            raise refuse("after_upload is keep, delete or {move: folder}")
        return value
    return None if fields.AFTER.read(value) == "keep" else DeclaredAfterUpload()


PruneField = Annotated[Prune | None, BeforeValidator(_prune, json_schema_input_type=Flag | Prune)]
ChecksumField = Annotated[
    DeclaredChecksum, BeforeValidator(_checksum, json_schema_input_type=texts.Digest | ChecksumList)
]
AfterField = Annotated[DeclaredAfterUpload | None, BeforeValidator(_after, json_schema_input_type=fields.After | Move)]


class Entry(Section):
    """What mirrors and folders share."""

    store: texts.StoreName | None = None
    """Name of the store; absent: default, or the only one."""
    max_size: fields.MaxSize | None = None
    """A larger source is refused."""
    object: ObjectSettings = ObjectSettings()
    """What is stored beside the bytes."""
    upload: Upload = Upload()
    """How an object is cut into parts."""
    overwrite: fields.OverwriteWord = _OPTIONS.overwrite
    """owned: only an object that mirrord wrote; never: no object that stands."""
    drift: fields.DriftWord = _OPTIONS.drift
    """What to do about an object that was deleted or replaced behind our back; looked for once a minute at most."""
    verify: fields.Verify = "store"
    """What proves the copy: the store's checksum, or reading back."""
    prune: PruneField = Field(default=None, json_schema_extra={"default": False})
    """Delete the object when its item leaves the manifests."""
    suspend: Flag = _OPTIONS.suspend
    """Leave the entry's items alone."""


class Fetched(Entry):
    """What mirrors have beyond that, and may come from `defaults`."""

    matrix: dict[texts.Placeholder, tuple[texts.MatrixText, ...]] = Field(default={})
    """One item for each combination of these values."""
    from_store: texts.StoreName | None = None
    """Store of an s3:// source."""
    every: fields.Every = lasting(_OPTIONS.every)
    """How often the source is looked at; never: once per change of the manifest."""
    cron: texts.Cron | None = None
    """Five fields, instead of every."""
    timezone: texts.TimeZone | None = None
    """Time zone of cron."""
    checksum: ChecksumField | None = None
    """What the bytes must be: sha256:… or {url: …}."""
    http: Http = Http()
    """How the URL is asked."""
    expect: Expect = Expect()
    """What the source must be."""


class Mirror(Fetched):
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


class Watched(Entry):
    """What folders have beyond an entry, and may come from `defaults`."""

    include: tuple[texts.Pattern, ...] = ()
    """Gitignore patterns of the files to take; empty: all."""
    exclude: tuple[texts.Pattern, ...] = ()
    """Gitignore patterns of files to leave; temporary names are left anyway."""
    key: texts.KeyTemplate = _FOLDER.key
    """Key below `to`: path, name, stem, ext, date (with a strftime format)."""
    settle: fields.Pause = lasting(_FOLDER.settle)
    """Two equal stats this far apart make a file ready."""
    ready: texts.Marker | None = None
    """Upload a file only once its marker stands: *.done beside the file, or _SUCCESS in its directory."""
    watch: fields.Watch = _FOLDER.watch
    """How changes are noticed; auto: by events, but poll where the file system has none for some changes."""
    poll_interval: fields.Duration = lasting(_FOLDER.poll_interval)
    """Time between looks where events are not to be had."""
    rescan: fields.Duration = lasting(_FOLDER.rescan)
    """Time between full scans."""
    after_upload: AfterField = Field(default=None, json_schema_extra={"default": "keep"})
    """What becomes of an uploaded file: keep, delete, or {move: folder}."""
    delete: fields.Delete = _FOLDER.delete
    """mirror: the object goes when the file goes."""
    follow_symlinks: Flag = _FOLDER.follow_symlinks
    """Take a symbolic link for what it leads to, inside the folder or not."""


class Folder(Watched):
    """A watched local folder and the key prefix that its files go to."""

    path: texts.FilePath
    """The folder; relative to the manifest."""
    to: texts.S3Url
    """s3://bucket/prefix/."""
    name: texts.Name | None = None
    """For people; default: the path."""


class Defaults(Fetched, Watched):
    """Any field of an entry but what makes it that entry; for this file's entries."""
