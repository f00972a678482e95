"""From a row of a list to its item: the source's address, the key, and which settings of the entry apply. Pure.

Owns the rules on what a list may name: a list by URL names URLs only, and the headers of its entry
are for its own origin. `planning.items.expand` has checked the template of `to`. `sources.list` reports bad rows.
"""

import os
import re
from dataclasses import replace
from sys import intern
from urllib.parse import quote, urljoin, urlsplit

from mirrord.declared import ListSpec
from mirrord.errors import printable
from mirrord.model import Destination, File, Item, ListedRevision, Options, Origin, S3Object, SourceOptions, Url
from mirrord.planning.items import keys
from mirrord.planning.items.gitignore import KeySelection
from mirrord.planning.items.templates import template
from mirrord.planning.lists.rows import ListRow
from mirrord.providers import profile

_WEB = re.compile(r"https?://[^/\s\x00-\x1f]+\S*")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_DEFAULT_PORTS = {"http": 80, "https": 443}


class RowBinding:
    """Makes the items of one list."""

    def __init__(self, spec: ListSpec) -> None:
        self._spec = spec
        self._to = template(spec.to)
        self._appends = spec.to.endswith("/")
        self._provider = profile(spec.provider)
        self._endpoint = intern(spec.endpoint)
        self._own = _web_origin(spec.location) if spec.by_url else None
        self._elsewhere = _without_headers(spec.options)

    def item(self, row: ListRow) -> Item:
        """The item of a row. ValueError: why it is a bad row."""
        origin = self._origin(row)
        try:
            destination = self._destination(row, origin)
        except ValueError as error:
            if not isinstance(origin, S3Object):
                raise
            raise ValueError(f"{printable(origin.address)}: {error}") from None
        return Item(
            id=destination.item_id,
            entry=self._spec.entry,
            origin=origin,
            destination=destination,
            options=self._options(origin),
            declared=row.declared,
        )

    def source(self, row: ListRow) -> SourceOptions:
        """The source of a row that `item` takes, in a third of its time."""
        origin = self._origin(row)
        return SourceOptions(self._spec.entry, origin, self._options(origin))

    # ── the source ────────────────────────────────────────────────────────────────────────────────
    def _origin(self, row: ListRow) -> Origin:
        if (prefix := self._spec.prefix) is not None:
            return _below(prefix.at, row)
        if self._spec.by_url:
            return Url(self._url(row))
        if not row.named and _WEB.fullmatch(row.url):
            return Url(row.url)
        return File(None, self._path(row))

    def _url(self, row: ListRow) -> str:
        """The URL, resolved against that of the list (RFC 3986 5)."""
        text = row.url
        if row.named:
            return urljoin(self._spec.location, "./" + quote(text.removeprefix("./"), safe="/"))
        if not _WEB.match(text):
            self._refuse_scheme(text)
            try:
                text = urljoin(self._spec.location, text)
            except ValueError:
                text = ""
        if not _WEB.fullmatch(text):
            raise ValueError("its url is no URL")
        return text

    def _path(self, row: ListRow) -> str:
        """The path, relative to the directory of the list."""
        text = row.url
        if not row.named:
            if text.startswith("file://"):
                text = text.removeprefix("file://")
                if not text.startswith(("/", "~/")):
                    raise ValueError("its url is no path; write file:///…")
            self._refuse_scheme(text)
            text = os.path.expanduser(text) if text.startswith("~/") else text
        if "\0" in text:
            raise ValueError("its path holds a NUL")
        return os.path.normpath(os.path.join(os.path.dirname(self._spec.location), text))

    def _refuse_scheme(self, text: str) -> None:
        """Also a line of a page that a server sent instead of the list, which has no space: RFC 3986 has no such
        characters, and then all rows would have left."""
        if text.startswith("<") or (self._spec.by_url and text.startswith(("{", "["))):
            raise ValueError("its url is no URL")
        if found := _SCHEME.match(text):
            scheme = found[0][:-1].lower()
            if scheme == "file" and self._spec.by_url:
                raise ValueError("its url is a local file: a list by URL names URLs only")
            if scheme == "s3":
                raise ValueError("its url is an s3:// source: a list names URLs and paths")
            raise ValueError("its url is not a source: it may be an http or https URL, or a path")

    # ── the object ────────────────────────────────────────────────────────────────────────────────
    def _destination(self, row: ListRow, origin: Origin) -> Destination:
        if row.key is not None and not row.named and not self._appends:
            raise ValueError("it has a key, which is put below `to`: end `to` with /")
        values = keys.key_values(origin)
        last = (row.key or values["name"]) if self._appends else ""
        if self._appends and not last:
            raise ValueError("its url has no last path segment for `to`; give it a key")
        try:
            text = self._to.fill(values) + last
        except KeyError as error:
            raise ValueError(f"`to` has {{{error.args[0]}}}, which a local file does not have") from None
        try:
            bucket, key = keys.address(text)
        except ValueError as error:
            raise ValueError(f"`to`: {error}") from None
        key = keys.normalised(key, self._provider)
        if fault := keys.key_fault(key):
            raise ValueError(fault)
        customer_key = self._spec.options.object.customer_key
        destination = Destination(self._spec.store, self._endpoint, intern(bucket), key, customer_key=customer_key)
        if (prefix := self._spec.prefix) is not None and is_below(destination, prefix.at):
            raise ValueError(f"its object {destination} would be below the prefix {prefix.at} itself")
        return destination

    def _options(self, origin: Origin) -> Options:
        """Those of the entry, for another origin than that of a list by URL without its headers."""
        own = self._own
        if own is None or self._elsewhere is self._spec.options or _web_origin(origin.address) == own:
            return self._spec.options
        return self._elsewhere


def prefix_source(spec: ListSpec, source: str, item_id: str) -> S3Object | None:
    """The object below the prefix that is the source of this item, `source` as recorded. None: the entry would not make
    this item of it, also if it were listed."""
    prefix = spec.prefix
    if prefix is None or not source.startswith(str(prefix.at)):
        return None
    name = source.removeprefix(str(prefix.at))
    if not KeySelection(prefix.include, prefix.exclude).takes(name):
        return None
    try:
        item = RowBinding(spec).item(ListRow(name, name, named=True))
    except ValueError:
        return None
    return item.origin if item.id == item_id and isinstance(item.origin, S3Object) else None


def _below(prefix: Destination, row: ListRow) -> S3Object:
    at = Destination(intern(prefix.store), intern(prefix.endpoint), intern(prefix.bucket), prefix.key + row.url)
    listed = None if row.listed is None else ListedRevision(intern(prefix.key), *row.listed)
    return S3Object(at, listed)


def is_below(at: Destination, prefix: Destination) -> bool:
    """Whether the key of `at` begins with the prefix, in the same bucket."""
    same_bucket = (at.endpoint, at.bucket) == (prefix.endpoint, prefix.bucket)
    return same_bucket and at.key.startswith(prefix.key)


def _without_headers(options: Options) -> Options:
    http = options.http
    return replace(options, http=http.elsewhere) if http.headers or http.connection.client_cert else options


def _web_origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port (RFC 9110 4.3.1). An origin that cannot be read equals no other one."""
    parts = urlsplit(url)
    try:
        return parts.scheme, parts.hostname or url, parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return "", url, None
