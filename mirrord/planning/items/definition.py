"""The digest of an item's definition: by it two processes with the same manifests know that they mean the same. Pure.

Owns what is part of it: all that the manifests say, except secrets, which are in no digest that leaves the process, and
files, which other hosts do not have.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from hashlib import sha256

from mirrord.model import File, FormerSource, Item, Options, S3Object, Secret

_EMBEDDED = "embedded"
"""The endpoint of embedded stores: see `StoreOptions`."""
_MOST_KNOWN = 1024
_known: dict[int, tuple[Options, str]] = {}
"""By the id of options: all items of an entry share one instance, and it takes 0.3 ms."""


def may_run_elsewhere(item: Item) -> bool:
    """Whether another host can check the item: it deletes nothing, its sources are no files of this host, and no store
    is embedded: each host has its own."""
    return (
        not item.gone and item.destination.endpoint != _EMBEDDED and not any(map(_is_here, (item.origin, *item.urls)))
    )


def _is_here(origin: object) -> bool:
    if isinstance(origin, S3Object):
        return origin.at.endpoint == _EMBEDDED
    return isinstance(origin, File | FormerSource)


def definition(item: Item) -> str:
    """16 hex digits, equal in every process for equal items."""
    known = _known.get(id(item.options))
    if known is None:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        known = _known[id(item.options)] = item.options, _plain(item.options)
    sources = [(one.fingerprint, repr(one)) for one in (item.origin, *item.urls)]
    text = f"{item.entry}\n{sources}\n{item.destination!r}\n{item.declared!r}\n{known[1]}"
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _plain(value: object) -> str:
    """The value as text, also fields that its repr hides; mappings in the order of their keys."""
    if isinstance(value, Secret):
        return "secret"
    if is_dataclass(value):
        return f"{type(value).__name__}({', '.join(_plain(getattr(value, one.name)) for one in fields(value))})"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key!r}: {_plain(value[key])}' for key in sorted(value))}}}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_plain, value))}]"
    return repr(value.value if isinstance(value, Enum) else value)
