"""The fields of a manifest: the document, `daemon` and `stores` here, entries in `entries`.

Owns names, types and the descriptions of the JSON Schema (the docstrings below). The defaults are those of the frozen
options that the values are converted to. Refuses unknown fields and wrong types. `rules` has the rules between fields,
`not_yet` the fields without behaviour. Sizes are bytes, durations seconds. `load` has already converted a mapping of
mirrors, url -> "s3://…" or url -> {options}, to a list.
"""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from mirrord.declared import BucketOptions, StoreOptions
from mirrord.manifest.schema import fields, texts
from mirrord.manifest.schema.bandwidth import BandwidthField
from mirrord.manifest.schema.entries import DefaultsSection, FolderSection, MirrorSection
from mirrord.manifest.schema.fields import Flag
from mirrord.manifest.schema.section import Section, compact, duration_field, size_field
from mirrord.settings import Settings

_SETTINGS, _STORE, _BUCKET = Settings(state=Path()), StoreOptions(name=""), BucketOptions()
"""The frozen options with their defaults."""


# ── daemon ────────────────────────────────────────────────────────────────────────────────────────
class PerHostSection(Section):
    connections: fields.ConnectionCount = _SETTINGS.per_host_connections
    """Connections to one host at a time."""
    requests_per_second: fields.Positive | None = None
    """Requests a second to one host; absent: any number."""


class LogSection(Section):
    format: fields.LogFormat = _SETTINGS.log_format
    """auto: console on a terminal, JSON lines otherwise."""
    level: fields.LogLevel = _SETTINGS.log_level
    """The lowest level that is logged."""


class NetworkSection(Section):
    allow: tuple[texts.NetworkRange, ...] = ()
    """Networks exempt from the rules on addresses: link-local and metadata ones, and private ones after a redirect."""


class NotifySection(Section):
    """A webhook or a heartbeat."""

    url: texts.ReceiverUrl | None = Field(default=None, repr=False)
    """Webhook: gets a POST with a CloudEvent for each of its events."""
    events: tuple[fields.EventName, ...] = ()
    """Events that the webhook gets; absent: item.blocked, item.stale and item.recovered."""
    headers: dict[texts.HeaderName, texts.HeaderText] = Field(default={}, repr=False)
    """Sent with each request."""
    secret: texts.WebhookSecret | None = Field(default=None, repr=False)
    """Key of the signature (Standard Webhooks): whsec_ and base64, or any text; absent: requests are not signed."""
    heartbeat: texts.ReceiverUrl | None = Field(default=None, repr=False)
    """Heartbeat: requested with GET while mirrord is ready and every store answers."""
    every: fields.BeatInterval = duration_field(300.0)
    """Time between two requests of the heartbeat."""


class DaemonSection(Section):
    state: texts.StateUrl | None = Field(default=None, repr=False)
    """sqlite:///path or postgresql://…; absent: $STATE_DIRECTORY, else $XDG_STATE_HOME/mirrord."""
    listen: texts.Listen = _SETTINGS.listen
    """Address of the status page, API, metrics and health; none: no HTTP server; port 0: any free port; unix:/path: a
    Unix socket."""
    api_token: texts.Token | None = Field(default=None, repr=False)
    """Token for POST requests; without it POST is refused."""
    read_token: texts.Token | None = Field(default=None, repr=False)
    """Token for GET requests to API and metrics, which api_token allows, too; absent: they need none."""
    hosts: tuple[texts.HostName, ...] = ()
    """Host names that the page and API accept, like mirror.example.org or *.example.org, besides the listen address,
    localhost, the machine's name and IP addresses."""
    transfers: fields.TransferCount = _SETTINGS.transfers
    """Transfers at a time."""
    memory_limit: fields.MemoryLimit = size_field(_SETTINGS.memory_limit)
    """Memory of all part buffers together."""
    bandwidth: BandwidthField | None = None
    """Bytes read a second: a rate, or rates by time of day: {"08:00-18:00": 20MiB/s, timezone: Europe/Berlin}."""
    per_host: PerHostSection = PerHostSection.model_construct()
    """Limits for each host that sources are on."""
    shutdown_grace: fields.Pause = duration_field(_SETTINGS.shutdown_grace)
    """Time for running transfers to end after SIGTERM."""
    log: LogSection = LogSection.model_construct()
    """How the log is written."""
    network: NetworkSection = NetworkSection.model_construct()
    """Exceptions to the rules on addresses of sources and webhooks."""
    file_roots: tuple[texts.FilePath, ...] | None = None
    """Directories: a file: source, a list's file or a folder must be below one of them after following links; absent:
    any. `copy` is excepted."""
    notify: tuple[NotifySection, ...] = ()
    """Webhooks and heartbeats."""


# ── stores ────────────────────────────────────────────────────────────────────────────────────────
class CredentialsSection(Section):
    """One of three: a pair of keys, a profile, or anonymous."""

    access_key_id: texts.Token | None = Field(default=None, repr=False)
    """Static key; needs secret_access_key."""
    secret_access_key: texts.Token | None = Field(default=None, repr=False)
    """Secret of the static key."""
    session_token: texts.Token | None = Field(default=None, repr=False)
    """Token of temporary keys."""
    profile: texts.Name | None = None
    """Profile of the AWS configuration files."""
    anonymous: Flag = False
    """Requests are not signed."""


class BucketLockSection(Section):
    mode: fields.LockMode = "GOVERNANCE"
    """GOVERNANCE or COMPLIANCE."""
    retain: fields.Duration | None = None
    """Retention time of new objects."""


class BucketSection(Section):
    create: Flag = _BUCKET.create
    """Create the bucket if it does not exist."""
    versioning: Flag = _BUCKET.versioning
    """Turn versioning on in a bucket that mirrord creates; `plan` and `status` name one that exists without it."""
    region: texts.Name | None = None
    """Region of a bucket that mirrord creates."""
    lock: BucketLockSection | None = None
    """Object lock of a bucket that mirrord creates."""


class StoreSection(Section):
    provider: fields.ProviderWord = _STORE.provider
    """The product or service; it decides limits and known deviations from S3."""
    endpoint_url: texts.EndpointUrl | None = None
    """Address of the S3 API; absent: the provider's documented one (docs/providers.md)."""
    region: texts.Name | None = None
    """Region to sign for, and of the documented address; absent: the provider's default, else that of the AWS
    configuration, else us-east-1."""
    account_id: texts.Name | None = None
    """Account in the documented address of r2; absent: CLOUDFLARE_ACCOUNT_ID."""
    addressing: fields.Addressing = _STORE.requests.addressing
    """Bucket in the path or in the host name of a request."""
    dual_stack: Flag = _STORE.requests.dual_stack
    """Addresses of AWS that also answer over IPv6."""
    requester_pays: Flag = _STORE.requests.requester_pays
    """The account of the credentials pays for its requests to buckets that demand it."""
    credentials: CredentialsSection | None = None
    """Absent: the AWS chain (environment, files, IRSA, IMDS), refreshed."""
    ca_file: texts.FilePath | None = None
    """PEM file of the authority that signed the store's certificate."""
    client_cert: texts.FilePath | None = None
    """PEM file with a client certificate and its key."""
    tls_min: fields.TlsVersion | None = None
    """Oldest version of TLS, "1.2" or "1.3"; absent: 1.2."""
    proxy: texts.ProxyUrl | None = Field(default=None, repr=False)
    """none, or the URL of an HTTP proxy; absent: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY."""
    checksum: fields.ChecksumWord = "auto"
    """Checksum that proves the bytes; auto: the best that the store verifies."""
    payload_signing: fields.Signing = _STORE.requests.payload_signing
    """auto: signed sha256 only if the connection is neither TLS nor loopback, or if the store demands it."""
    wire: fields.Wire = _STORE.requests.wire
    """auto: frequent calls by mirrord's own client; sdk: every call by aiobotocore."""
    customer_keys: dict[texts.CustomerKeyName, texts.CustomerKey] = Field(default={}, repr=False)
    """Keys for SSE-C by name, each base64 of 32 bytes. Objects name one in object.encryption; a key stays here as long
    as an object needs it."""
    buckets: dict[texts.Bucket, BucketSection] = Field(default={})
    """Buckets by name; mirrord creates no others."""


class Document(Section):
    """One manifest file."""

    version: fields.Version = 1
    """Version of the format."""
    daemon: DaemonSection | None = None
    """Settings of the process, in at most one file. Flags and MIRRORD_* variables override them."""
    stores: dict[texts.StoreName, StoreSection] = Field(default={})
    """Stores by name, shared by all files. Without any store: AWS, with the name default."""
    defaults: DefaultsSection = DefaultsSection.model_construct()
    """Defaults for the entries of this file."""
    mirrors: tuple[Annotated[MirrorSection, AfterValidator(compact)], ...] = ()
    """A list of mirrors, or a mapping url -> destination or url -> mirror."""
    folders: tuple[Annotated[FolderSection, AfterValidator(compact)], ...] = ()
    """Watched folders."""
