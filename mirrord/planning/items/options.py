"""The settings of an entry, completed from the file's `defaults`, as `model.Options`. Pure.

The groups http, object, upload and expect are merged field by field. Any other value of the entry replaces the default.
"""

import os
from base64 import b64encode
from collections.abc import Callable
from dataclasses import fields as fields_of
from dataclasses import replace
from functools import partial
from typing import Any

from mirrord.manifest.schema.entries import (
    ChecksumSection,
    DefaultsSection,
    EntrySection,
    FolderSection,
    HttpSection,
    MirrorSection,
    ObjectSection,
    UploadSection,
)
from mirrord.manifest.schema.section import Section
from mirrord.model import (
    USUAL_CONNECTION,
    ConnectionOptions,
    DeclaredSum,
    HttpOptions,
    ObjectOptions,
    Options,
    Schedule,
    Secret,
    SourceRequirements,
    UploadOptions,
)

_NO_OPTIONS = frozenset(
    {
        "url",
        "urls",
        "list",
        "to",
        "name",
        "prune",
        "store",
        "from_store",
        "matrix",
        "path",
        "include",
        "exclude",
        "key",
        "settle",
    }
)
_PLAIN_OBJECT = {field.name for field in fields_of(ObjectOptions)} & set(ObjectSection.model_fields) - {"encryption"}
SSE_C = "SSE-C"
"""The mode of encryption that has no header of its own: the key is sent."""
_MOST_SHARED = 1_000
_AUTHORISATION = frozenset({"bearer", "basic"})


class OptionsOf:
    """Makes the Options of the entries of one file, which must stay in memory meanwhile. Entries with equal settings
    share one instance. Sections are compared by identity: entries already share equal ones."""

    def __init__(self, defaults: DefaultsSection, directory: str = "") -> None:
        self._directory = directory
        self._defaults = defaults
        self._shared: dict[tuple[Any, ...], Options] = {}
        self._converted: dict[int, tuple[Section, Any]] = {}
        self._equal: dict[Any, Any] = {}
        self._keyed: dict[tuple[int, str], tuple[Options, Options]] = {}

    def __call__(self, entry: MirrorSection | FolderSection) -> Options:
        """The entry's Options."""
        given = ((name, getattr(entry, name)) for name in sorted(entry.model_fields_set - _NO_OPTIONS))
        key = (type(entry), *((name, id(value) if isinstance(value, Section) else value) for name, value in given))
        if key not in self._shared:
            if len(self._shared) >= _MOST_SHARED:
                self._shared.clear()
            self._shared[key] = self._make(entry)
        return self._shared[key]

    def keyed(self, options: Options, customer_key: str | None) -> Options:
        """The Options of an entry with this key for SSE-C, as in `ObjectOptions`."""
        if customer_key is None:
            return options
        at = id(options), customer_key
        if at not in self._keyed:
            if len(self._keyed) >= _MOST_SHARED:
                self._keyed.clear()
            keyed = replace(options, object=replace(options.object, customer_key=customer_key))
            self._keyed[at] = options, keyed  # the first is kept, so that its id is not reused
        return self._keyed[at][1]

    def setting(self, entry: EntrySection, name: str) -> Any:
        """The value of one field: the entry's, else that of `defaults`, else the schema's default."""
        own, given = getattr(entry, name), name in entry.model_fields_set
        if name not in self._defaults.model_fields_set:
            return own
        default = getattr(self._defaults, name)
        return _joined(own, default) if given and isinstance(own, Section) else own if given else default

    def _make(self, entry: MirrorSection | FolderSection) -> Options:
        fetched: dict[str, Any] = {}
        if isinstance(entry, MirrorSection):
            fetched["schedule"] = self._common(self._schedule(entry))
            fetched["http"] = self._once(partial(_http, directory=self._directory), self.setting(entry, "http"))
        return Options(
            **fetched,
            object=self._once(_object, self.setting(entry, "object")),
            upload=self._once(_upload, self.setting(entry, "upload")),
            requires=self._common(self._requirements(entry)),
            overwrite=self.setting(entry, "overwrite"),
            drift=self.setting(entry, "drift"),
            readback=self.setting(entry, "verify") == "readback",
            adopt=self.setting(entry, "adopt"),
            suspend=self.setting(entry, "suspend"),
            stale_after=self.setting(entry, "stale_after"),
        )

    def _requirements(self, entry: MirrorSection | FolderSection) -> SourceRequirements:
        max_size = self.setting(entry, "max_size")
        if isinstance(entry, FolderSection):
            return SourceRequirements(max_size=max_size)
        return SourceRequirements(
            max_size=max_size,
            content_type=self.setting(entry, "expect").content_type,
            checksum=_declared(self.setting(entry, "checksum")),
        )

    def _schedule(self, entry: MirrorSection) -> Schedule:
        """Either `every`, or `cron` with its time zone: the one in the entry, else the one in `defaults`."""
        cron = None if "every" in entry.model_fields_set else self.setting(entry, "cron")
        if cron is None:
            return Schedule(every=self.setting(entry, "every"))
        return Schedule(every=None, cron=cron, timezone=self.setting(entry, "timezone"))

    def _common(self, value: Any) -> Any:
        """An equal value of an earlier entry, if there is one."""
        if len(self._equal) >= _MOST_SHARED:
            self._equal.clear()
        return self._equal.setdefault(value, value)

    def _once(self, convert: Callable[[Any], Any], section: Section) -> Any:
        """The converted section. Entries without the section share its default, which is converted once."""
        if id(section) not in self._converted:
            if len(self._converted) >= _MOST_SHARED:
                self._converted.clear()
            # the section is kept, so that its id is not reused
            self._converted[id(section)] = section, convert(section)
        return self._converted[id(section)][1]


def _joined(own: Section, default: Section) -> Section:
    missing = default.model_fields_set - own.model_fields_set
    if own.model_fields_set & _AUTHORISATION:
        missing -= _AUTHORISATION
    return own.model_copy(update={name: getattr(default, name) for name in missing})


def _http(http: HttpSection, directory: str) -> HttpOptions:
    headers = dict(http.headers)
    authorisation = _authorisation(http)
    if authorisation is not None:
        headers = {name: text for name, text in headers.items() if name.lower() != "authorization"}
        headers["Authorization"] = authorisation
    return HttpOptions(
        headers=headers,
        connections=http.connections,
        idle_timeout=http.idle_timeout,
        min_rate=http.min_rate,
        max_redirects=http.max_redirects,
        connection=_connection(http, directory),
    )


def _connection(http: HttpSection, directory: str) -> ConnectionOptions:
    if not http.model_fields_set & {"ca_file", "client_cert", "tls_min", "proxy"}:
        return USUAL_CONNECTION
    return ConnectionOptions(
        ca_file=http.ca_file and os.path.join(directory, http.ca_file),
        client_cert=http.client_cert and os.path.join(directory, http.client_cert),
        tls_min=http.tls_min,
        proxy=http.proxy,
    )


def _declared(checksum: ChecksumSection | None) -> DeclaredSum | None:
    if checksum is None:
        return None
    return DeclaredSum(checksum.digest.removeprefix("sha256:").lower() if checksum.digest else None, checksum.url)


def _authorisation(http: HttpSection) -> Secret | None:
    if http.bearer is not None:
        return Secret(f"Bearer {http.bearer.reveal()}")
    if http.basic is not None:
        pair = f"{http.basic.username.reveal()}:{http.basic.password.reveal()}"
        return Secret(f"Basic {b64encode(pair.encode()).decode()}")
    return None


def _object(settings: ObjectSection) -> ObjectOptions:
    encryption = settings.encryption
    return ObjectOptions(
        **{name: getattr(settings, name) for name in _PLAIN_OBJECT},
        encryption=encryption.mode if encryption and encryption.mode != SSE_C else None,
        kms_key_id=encryption.kms_key_id if encryption else None,
        lock_mode=settings.lock.mode if settings.lock else None,
        retain=settings.lock.retain if settings.lock else None,
        legal_hold=settings.lock.legal_hold if settings.lock else None,
    )


def _upload(settings: UploadSection) -> UploadOptions:
    return UploadOptions(**{name: getattr(settings, name) for name in UploadSection.model_fields})
