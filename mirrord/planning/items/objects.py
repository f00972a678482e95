"""The object of each source of one entry: matrix, placeholders and keys of mirrors, and keys of folders. Pure.

Owns the combined meaning of an entry's `url`, `to`, `key` and `matrix`, and the faults of their combination. `expand`
owns names of entries and collisions.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import prod
from sys import intern
from urllib.parse import urlsplit

from mirrord.declared import FileSelection, ListSpec, SourcePrefix, StoreOptions
from mirrord.frozen import frozen
from mirrord.manifest.manifest import Manifest
from mirrord.manifest.schema.entries import MirrorSection
from mirrord.manifest.schema.hints import suggestion
from mirrord.manifest.syntax.scalars import is_substitute
from mirrord.model import Destination, File, Options, Origin, S3Object, key_digest, origin_at
from mirrord.planning.items import keys
from mirrord.planning.items.templates import DATE, Template, template
from mirrord.planning.lists.binding import is_below
from mirrord.planning.lists.formats import format_of
from mirrord.providers import Provider, facts_of, profile
from mirrord.providers.endpoints import is_documented
from mirrord.proxies import is_local

MOST_COMBINATIONS = 1_000_000
"""Items that one entry's matrix may make."""
_OF_URL = ("host", "path", "name")
_OF_FILE = ("path", "name", "stem", "ext", DATE)
_DISTINCT = frozenset({"path", "name", "stem"})


@frozen
class EntryContext:
    """One entry of one file, with the values that all its items share."""

    manifest: Manifest
    section: str
    index: int
    store: StoreOptions
    provider: Provider
    options: Options
    source_store: StoreOptions
    """Of an s3:// source: `from_store`, or `store` itself if that is the same store with the same credentials."""

    @property
    def where(self) -> str:
        return f"{self.manifest.file}:{self.manifest.line(self.section, self.index)}"

    def destination(self, bucket: str, key: str) -> Destination:
        """The destination; all items share the texts that are equal."""
        store, endpoint, key = self.store.name, intern(self.store.endpoint), keys.normalised(key, self.provider)
        return Destination(store, endpoint, intern(bucket), key, customer_key=self.options.object.customer_key)


class EntryFault(Exception):
    """An entry that makes no valid item. `name`: the faulty field."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


def check_storage_class(context: EntryContext) -> None:
    """Raises EntryFault if the provider is known not to have the storage class of the entry. A store at another address
    than the provider's may have others: `provider` is aws if a manifest does not name it."""
    wanted, known = context.options.object.storage_class, context.provider.storage_classes
    if wanted is None or not known or wanted in known:
        return
    if is_documented(facts_of(context.store.provider), context.store.endpoint_url):
        raise EntryFault(
            "object.storage_class",
            f"{context.provider.name} has no storage class {wanted}: give one of {', '.join(known)}",
        )


def customer_key_of(name: str, store: StoreOptions) -> str | None:
    """The digest of the key for SSE-C with this name; None: the name is not set. Raises EntryFault."""
    if is_substitute(name):
        return None
    endpoint = urlsplit(store.endpoint_url or "")
    if endpoint.scheme == "http" and not is_local(endpoint.hostname or ""):
        raise EntryFault(
            "object.encryption.mode",
            f"SSE-C sends the key with each request, and endpoint_url of the store {store.name!r} is http: use https",
        )
    if (key := store.customer_keys.get(name)) is None:
        near = suggestion(name, list(store.customer_keys)) or f"; add it as stores.{store.name}.customer_keys.{name}"
        raise EntryFault("object.encryption.customer_key", f"the store {store.name!r} has no key of this name{near}")
    return key_digest(key)


# ── mirrors ───────────────────────────────────────────────────────────────────────────────────────
def bindings(
    context: EntryContext, mirror: MirrorSection, matrix: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[tuple[Origin, ...], Destination]]:
    """The sources of a mirror, the primary one first, with their object: of one item, or of one for each combination of
    the matrix. The primary source gives the values of host, path and name."""
    field, texts = _sources(mirror)
    urls = [_template(field, text, tuple(matrix)) for text in texts]
    to = _template("to", mirror.to, (*matrix, *_OF_URL))
    if prod(len(values) for values in matrix.values()) > MOST_COMBINATIONS:
        raise EntryFault("matrix", f"more than {MOST_COMBINATIONS:,} combinations; split the entry")
    for combination in product(*matrix.values()):
        values = dict(zip(matrix, combination, strict=True))
        origins = tuple(_origin(context, url.fill(values)) for url in urls)
        values |= _values_of(field, origins)
        destination = _object(context, to, values, append=mirror.to.endswith("/"))
        if any(isinstance(origin, S3Object) and origin.at.item_id == destination.item_id for origin in origins):
            raise EntryFault("to", f"{destination} is its own source; give it another key or bucket")
        yield origins, destination


def _origin(context: EntryContext, text: str) -> Origin:
    if not text.startswith("s3://"):
        return origin_at(text)
    store = context.source_store
    try:
        bucket, key = keys.address(text)
    except ValueError as error:
        raise EntryFault("url", str(error)) from None
    if not key:
        raise EntryFault("url", "names a bucket and no object")
    return S3Object(Destination(store.name, store.endpoint, bucket, keys.normalised(key, profile(store.provider))))


def _sources(mirror: MirrorSection) -> tuple[str, tuple[str, ...]]:
    """The field that names the sources, and their texts."""
    return ("urls", mirror.urls) if mirror.urls is not None else ("url", (mirror.url or "",))


def _values_of(field: str, origins: Sequence[Origin]) -> Mapping[str, str]:
    """The placeholder values of the primary source. All sources must be valid, and no two of them the same."""
    try:
        values, *_ = [keys.key_values(origin) for origin in origins]
    except ValueError as error:
        raise EntryFault(field, str(error)) from None
    if len(set(origins)) < len(origins):
        raise EntryFault(field, "the same URL twice; each fallback is another URL")
    return values


def _object(context: EntryContext, to: Template, values: Mapping[str, str], *, append: bool) -> Destination:
    if append and not values["name"]:
        raise EntryFault("to", "ends with / but the URL has no last path segment to append; write the whole key")
    try:
        text = to.fill(values) + (values["name"] if append else "")
    except KeyError as error:
        raise EntryFault("to", f"the source has no {error.args[0]} for a placeholder") from None
    bucket, key = bucket_and_key(text)
    destination = context.destination(bucket, key)
    if fault := keys.key_fault(destination.key):
        hint = "; {path} begins with one, so put none before it" if "slash" in fault and "path" in to.names else ""
        raise EntryFault("to", fault + hint)
    return destination


def default_name(to: str, url: str) -> str:
    """The name of an entry whose matrix makes many objects: its `to` with the placeholders."""
    return to + url.partition("?")[0].rpartition("/")[2] if to.endswith("/") else to


def _template(name: str, text: str, known: Sequence[str]) -> Template:
    try:
        parsed = template(text)
    except ValueError as error:
        raise EntryFault(name, str(error)) from None
    for placeholder in parsed.names:
        if placeholder not in known:
            near = suggestion(placeholder, list(known)) or ("; known: " + ", ".join(known) if known else "")
            raise EntryFault(name, f"unknown placeholder{near}; double the braces for literal ones")
    return parsed


def bucket_and_key(text: str) -> tuple[str, str]:
    try:
        return keys.address(text)
    except ValueError as error:
        raise EntryFault("to", str(error)) from None


# ── lists ─────────────────────────────────────────────────────────────────────────────────────────
def list_spec(context: EntryContext, mirror: MirrorSection, matrix: Mapping[str, tuple[str, ...]]) -> ListSpec:
    """The list of a mirror. Its rows bring the sources: a matrix, or a digest for all of them, makes no sense."""
    location, store = mirror.list or "", context.store
    if not location.startswith(("http://", "https://")):
        location = os.path.normpath(os.path.join(context.manifest.directory, location))
    spec = ListSpec(
        entry=mirror.name or mirror.to,
        location=location,
        to=mirror.to,
        store=store.name,
        endpoint=store.endpoint,
        provider=store.provider,
        options=context.options,
    )
    try:
        keys.key_values(origin_at(location) if spec.by_url else File(None, location))
        format_of(spec)
    except ValueError as error:
        raise EntryFault("list", str(error)) from None
    if matrix:
        raise EntryFault("matrix", "a list has no matrix: each of its rows is one item")
    declared = spec.options.requires.checksum
    if declared is not None and declared.sha256 is not None:
        raise EntryFault("checksum", "one digest for all rows of a list; use its column sha256, or {url: …}")
    _list_address(mirror.to)
    return spec


def is_prefix(mirror: MirrorSection) -> bool:
    """Whether the source is all objects below a prefix."""
    return mirror.url is not None and mirror.url.startswith("s3://") and mirror.url.endswith("/")


def prefix_spec(
    context: EntryContext, mirror: MirrorSection, matrix: Mapping[str, tuple[str, ...]], selection: FileSelection
) -> ListSpec:
    """The prefix of a mirror, as a list that its store writes. `selection`: the patterns of the entry."""
    if matrix:
        raise EntryFault("matrix", "a prefix has no matrix: write one entry for each")
    store, source = context.store, context.source_store
    try:
        bucket, key = keys.address(_template("url", mirror.url or "", ()).fill({}))
    except ValueError as error:
        raise EntryFault("url", str(error)) from None
    at = Destination(source.name, source.endpoint, bucket, keys.normalised(key, profile(source.provider)))
    declared = context.options.requires.checksum
    if declared is not None and declared.sha256 is not None:
        raise EntryFault("checksum", "one digest for all objects of a prefix; remove it, or use {url: …}")
    _list_address(mirror.to)
    _refuse_growth(context, mirror.to, at)
    return ListSpec(
        entry=mirror.name or mirror.to,
        location=str(at),
        to=mirror.to,
        store=store.name,
        endpoint=store.endpoint,
        provider=store.provider,
        options=context.options,
        prefix=SourcePrefix(at, selection.include, selection.exclude),
    )


def _refuse_growth(context: EntryContext, to: str, prefix: Destination) -> None:
    """The first copies would be sources of more copies, without end."""
    bucket, _, key = to.removeprefix("s3://").partition("/")
    fixed = context.destination(bucket, key.partition("{")[0])
    if is_below(fixed, prefix):
        raise EntryFault(
            "to", f"{to} is below its own source {prefix}: each copy would be copied again; move one of them"
        )


def _list_address(to: str) -> None:
    names = _template("to", to, _OF_URL).names
    if not to.endswith("/") and not set(_OF_URL) & {*names}:
        raise EntryFault("to", "every row would have the same key; end it with /, or use {host}{path} or {name}")
    if "{" not in to.removeprefix("s3://").partition("/")[0]:
        bucket_and_key(to)


# ── folders ───────────────────────────────────────────────────────────────────────────────────────
def folder_key(to: str, key: str) -> str:
    """The template of a folder's whole keys: the prefix of `to`, then `key`."""
    _template("to", to, _OF_FILE)
    prefix = bucket_and_key(to)[1]
    if prefix and not prefix.endswith("/"):
        prefix += "/"
    names = _template("key", key, _OF_FILE).names
    if not _DISTINCT & {*names, *template(prefix).names}:
        raise EntryFault("key", "every file would have the same key; use {path}, {name} or {stem}")
    sample = {"path": "a", "name": "a", "stem": "a", "ext": ""}
    if fault := keys.key_fault(template(prefix + key).fill(sample)):
        raise EntryFault("key", fault)
    return prefix + key
