"""What a manifest may say: the document, `daemon` and `stores` here, entries in `entries`.

Owns names, types and the sentences of the JSON Schema (the docstrings below); defaults come from the frozen options
that the values become. Refuses unknown fields and wrong types; rules between fields are in `rules`, what has no
behaviour yet in `not_yet`. Sizes are bytes, durations seconds. A mapping of mirrors, url -> "s3://…" or
url -> {options}, was made a list by `load` before it comes here.
"""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from mirrord.declared import BucketOptions, StoreOptions
from mirrord.manifest.schema import fields, texts
from mirrord.manifest.schema.entries import DefaultsSection, FolderSection, MirrorSection
from mirrord.manifest.schema.fields import Flag
from mirrord.manifest.schema.section import Section, compact, duration_field, size_field
from mirrord.settings import Settings

_SETTINGS, _STORE, _BUCKET = Settings(state=Path()), StoreOptions(name=""), BucketOptions()
"""The defaults, which the frozen options state."""


# ── daemon ────────────────────────────────────────────────────────────────────────────────────────
class PerHostSection(Section):
    connections: fields.ConnectionCount = _SETTINGS.per_host_connections
    """Connections to one host at a time."""
    requests_per_second: fields.Positive | None = None
    """Requests a second to one host."""


class LogSection(Section):
    format: fields.LogFormat = _SETTINGS.log_format
    """auto: console on a terminal, JSON lines otherwise."""
    level: fields.LogLevel = _SETTINGS.log_level
    """The least severe line that is logged."""


class NetworkSection(Section):
    allow: tuple[texts.NetworkRange, ...] = ()
    """Link-local or metadata networks that sources may be in after all."""


class NotifySection(Section):
    url: texts.WebUrl = Field(repr=False)
    """Webhook that gets a POST for each event."""
    events: tuple[texts.Name, ...] = ()
    """Names of events; empty: all of them."""


class DaemonSection(Section):
    state: texts.StateUrl | None = None
    """sqlite:///path or postgresql://…; absent: $STATE_DIRECTORY, else $XDG_STATE_HOME/mirrord."""
    listen: texts.Listen = _SETTINGS.listen
    """Address of the status page, API, metrics and health; none turns it off, port 0 takes any free one."""
    api_token: texts.Token | None = Field(default=None, repr=False)
    """Needed for POST; without it POST is refused."""
    hosts: tuple[texts.HostName, ...] = ()
    """Names by which page and API may be asked, like mirror.example.org or *.example.org, besides the listen address,
    localhost, the machine's name and IP addresses."""
    transfers: fields.TransferCount = _SETTINGS.transfers
    """Transfers at a time."""
    memory_limit: fields.MemoryLimit = size_field(_SETTINGS.memory_limit)
    """All part buffers together."""
    bandwidth: fields.Bandwidth | None = None
    """A rate, or rates by time of day: {"08:00-18:00": 20MiB/s, default: unlimited}."""
    per_host: PerHostSection = PerHostSection()
    """Limits for each host that sources are on."""
    shutdown_grace: fields.Pause = duration_field(_SETTINGS.shutdown_grace)
    """Time that running transfers get after SIGTERM."""
    log: LogSection = LogSection()
    """How the log is written."""
    network: NetworkSection = NetworkSection()
    """Exceptions from the rule on link-local and metadata addresses."""
    notify: tuple[NotifySection, ...] = ()
    """Webhooks."""


# ── stores ────────────────────────────────────────────────────────────────────────────────────────
class CredentialsSection(Section):
    """A pair of keys, a profile, or anonymous: one of the three."""

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
    """How long new objects are kept."""


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
    """Whose quirks and limits the store has."""
    endpoint_url: texts.EndpointUrl | None = None
    """Address of the S3 API; absent: AWS."""
    region: texts.Name | None = None
    """Region to sign for."""
    addressing: fields.Addressing = _STORE.addressing
    """Bucket in the path or in the host name."""
    credentials: CredentialsSection | None = None
    """Absent: the AWS chain (environment, files, IRSA, IMDS), refreshed."""
    ca_file: texts.FilePath | None = None
    """PEM file of the authority that signed the store's certificate."""
    checksum: fields.ChecksumWord = "auto"
    """What proves the bytes; auto: the best that the store verifies."""
    payload_signing: fields.Signing = "auto"
    """auto: signed sha256 only where the wire is neither TLS nor loopback."""
    buckets: dict[texts.Bucket, BucketSection] = Field(default={})
    """Buckets by name; only those declared here are ever created."""


class Document(Section):
    """One manifest file."""

    version: fields.Version = 1
    """Version of the format."""
    daemon: DaemonSection | None = None
    """Settings of the process; at most one file has them. Flags and MIRRORD_* variables win."""
    stores: dict[texts.StoreName, StoreSection] = Field(default={})
    """Stores by name, shared by all files; none at all: AWS, called default."""
    defaults: DefaultsSection = DefaultsSection()
    """For this file's entries."""
    mirrors: tuple[Annotated[MirrorSection, AfterValidator(compact)], ...] = ()
    """A list of mirrors, or a mapping url -> destination or url -> mirror."""
    folders: tuple[Annotated[FolderSection, AfterValidator(compact)], ...] = ()
    """Watched folders."""
