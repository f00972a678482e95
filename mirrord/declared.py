"""What manifests declare beside items: stores with their credentials and buckets, folders, and receivers. Plain values.

`manifest` and `planning.items.expand` make these values, adapters use them. No repr contains a secret.
"""

from collections.abc import Mapping
from dataclasses import field

from mirrord.frozen import frozen
from mirrord.model import (
    USUAL_CONNECTION,
    ChecksumKind,
    ConnectionOptions,
    Destination,
    FileAction,
    KeepFile,
    Notice,
    Options,
    ProviderName,
    Secret,
    fingerprint,
    secret_of,
    shown,
)


@frozen(kw_only=True)
class Credentials:
    """The credentials of one store: a static pair of keys, a named profile, or none (`anonymous`)."""

    access_key_id: Secret | None = field(default=None, repr=False)
    secret_access_key: Secret | None = field(default=None, repr=False)
    session_token: Secret | None = field(default=None, repr=False)
    profile: str | None = None
    anonymous: bool = False

    @staticmethod
    def of(access_key_id: str, secret_access_key: str, session_token: str | None = None) -> "Credentials":
        """A static pair of keys, with the token of temporary ones."""
        return Credentials(
            access_key_id=Secret(access_key_id),
            secret_access_key=Secret(secret_access_key),
            session_token=secret_of(session_token),
        )


@frozen
class BucketLock:
    """Object lock of a bucket. `mode` and `days` are the default for new objects; None: no default."""

    mode: str | None = None
    days: int | None = None


@frozen(kw_only=True)
class BucketOptions:
    """A bucket that the manifest declares. mirrord creates it only with `create`."""

    create: bool = False
    versioning: bool = False
    region: str | None = None
    lock: BucketLock | None = None
    """Object lock, which only a bucket with versions has; None: none is asked for."""


@frozen(kw_only=True)
class RequestOptions:
    """How the requests to a store are addressed, sent and signed."""

    addressing: str = "auto"  # auto, path, virtual
    wire: str = "auto"  # auto: frequent calls by our own client; sdk: all by aiobotocore
    payload_signing: str = "auto"  # auto: only without TLS and not on loopback; always, never
    requester_pays: bool = False  # the account that sends a request agrees to pay for it
    dual_stack: bool = False  # the addresses of AWS that also answer over IPv6


@frozen(kw_only=True)
class StoreOptions:
    """One declared store. `endpoint_url=None` means AWS, or for `embedded` a free local port."""

    name: str
    provider: ProviderName = ProviderName.AWS
    endpoint_url: str | None = None
    region: str | None = None
    requests: RequestOptions = RequestOptions()
    credentials: Credentials | None = None  # None: the AWS chain
    connection: ConnectionOptions = USUAL_CONNECTION
    checksum: ChecksumKind | None = None  # None: the best that the provider verifies
    customer_keys: Mapping[str, Secret] = field(default_factory=dict, repr=False)  # for SSE-C, by name; base64
    buckets: Mapping[str, BucketOptions] = field(default_factory=dict)

    @property
    def endpoint(self) -> str:
        """The store's part of an item's identity. For the embedded store it is fixed, because its port changes."""
        if self.provider is ProviderName.EMBEDDED:
            return "embedded"
        return (self.endpoint_url or "https://s3.amazonaws.com").rstrip("/").lower()

    def same_access(self, other: "StoreOptions") -> bool:
        """Whether both are one store with the same credentials, so that it can copy objects from one to the other."""
        return (self.endpoint, self.credentials) == (other.endpoint, other.credentials)


@frozen
class SourcePrefix:
    """All objects of a store below `at`, whose key is the prefix. Gitignore patterns, relative to it."""

    at: Destination
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


@frozen(kw_only=True)
class ListSpec:
    """One list of sources of a manifest. `planning.lists.binding` binds each row to its object."""

    entry: str
    location: str = field(repr=False)  # an absolute path, or an http(s) URL, which may hold secrets
    to: str  # template of the object's whole address; a trailing / appends the row's key, or its URL's last segment
    store: str
    endpoint: str
    provider: ProviderName = ProviderName.AWS
    options: Options = Options()
    prefix: SourcePrefix | None = None
    """Its rows are the objects that a store lists; `location` is the address of the prefix. None: a file or URL."""

    @property
    def scheduled(self) -> bool:
        """Whether it is read at the times of the entry's schedule."""
        return self.by_url or self.prefix is not None

    @property
    def by_url(self) -> bool:
        """Whether the list itself is fetched."""
        return self.location.startswith(("http://", "https://"))


@frozen(kw_only=True)
class FolderTarget:
    """The destination of a folder's objects. The fields are those of a `Destination`, with a template of its key."""

    store: str
    endpoint: str
    provider: ProviderName = ProviderName.AWS
    bucket: str
    key: str = "{path}"  # template of the whole key: the prefix of `to`, then the folder's `key`


@frozen(kw_only=True)
class FileSelection:
    """Which files of a folder count, and which of them are ready."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    ready: str | None = None  # name of the marker that a file waits for, see planning.decisions.markers
    follow_symlinks: bool = False  # a link is treated as its target, also outside the folder


@frozen(kw_only=True)
class WatchTimes:
    """When a folder is scanned. All times are in seconds."""

    watch: str = "auto"  # auto, events, poll
    settle: float = 2.0  # least time between two equal stats of a file
    poll_interval: float = 5.0  # between scans while there are no events
    rescan: float = 60.0  # between scans, with or without events


@frozen(kw_only=True)
class FolderSpec:
    """One folder of a manifest. `planning.items.bind.item_of` binds each file found to its object."""

    entry: str
    path: str  # absolute
    target: FolderTarget
    selection: FileSelection = FileSelection()
    times: WatchTimes = WatchTimes()
    delete: str = "keep"  # keep; mirror: the object is deleted when the file is deleted
    after_upload: FileAction = KeepFile()
    prune_most: float | None = None  # the share of its objects that one scan may delete; None: the guard's own
    options: Options = Options()

    @property
    def removes_files(self) -> bool:
        """Whether files are deleted or moved when their objects are proven."""
        return not isinstance(self.after_upload, KeepFile)


# ── receivers ─────────────────────────────────────────────────────────────────────────────────────
@frozen(kw_only=True)
class Webhook:
    """A receiver of notifications. Its URL is its identity."""

    url: Secret = field(repr=False)
    notices: frozenset[Notice]
    headers: Mapping[str, Secret] = field(default_factory=dict, repr=False)
    secret: Secret | None = field(default=None, repr=False)
    """Of the signatures; None: notifications are not signed."""

    @property
    def id(self) -> str:
        """Its name in the journal."""
        return fingerprint(self.url.reveal())

    @property
    def shown(self) -> str:
        """Its URL for users: without the path, which often contains a secret, too."""
        return _without_path(self.url.reveal())


@frozen(kw_only=True)
class Heartbeat:
    """A URL that is requested every so many seconds while mirrord works."""

    url: Secret = field(repr=False)
    every: float
    headers: Mapping[str, Secret] = field(default_factory=dict, repr=False)

    @property
    def id(self) -> str:
        return fingerprint(self.url.reveal())

    @property
    def shown(self) -> str:
        """As `Webhook.shown`."""
        return _without_path(self.url.reveal())


def _without_path(url: str) -> str:
    scheme, _, rest = shown(url).partition("://")
    host, slash, _ = rest.partition("/")
    return f"{scheme}://{host}/…" if slash else f"{scheme}://{host}"
