"""Objects that are rewritten because only the options of their entry changed. Pure.

Owns the names of the options that changed, which headers of the source a rewrite needs, and how many rewrites are many.
`decide` finds that a rewrite is due; `reconcile.rewrite` finds out whether the store can make it.
"""

from collections.abc import Iterator
from dataclasses import fields

from mirrord.model import File, Item, ObjectOptions, Record
from mirrord.planning.decisions.prune import ALWAYS_FEW, SHARE

MOST_AT_ONCE = 16
"""Rewrites at a time: each is work for the store, and none for the network, which would slow it down."""
_INHERITED = ("content_type", "content_encoding")
"""Of the source, where the manifest does not set them."""


def changed_options(then: ObjectOptions | None, now: ObjectOptions) -> tuple[str, ...]:
    """The names, as in a manifest, of the options that differ. Empty: those of before are not known."""
    return tuple(dict.fromkeys(_changed(then, now))) if then is not None else ()


def _changed(then: ObjectOptions, now: ObjectOptions) -> Iterator[str]:
    for field in fields(ObjectOptions):
        if getattr(then, field.name) != getattr(now, field.name):
            yield "encryption" if field.name == "kms_key_id" else field.name


def needs_headers(item: Item, record: Record, then: ObjectOptions | None) -> bool:
    """Whether the source is asked for its headers, because the object does not show those that it inherits: mirrord did
    not write it, or the manifest had set them until now. Files have none."""
    if isinstance(item.origin, File):
        return False
    now, unknown = item.options.object, then is None or record.object.transfer_id is None
    return any(getattr(now, name) is None and (unknown or getattr(then, name) is not None) for name in _INHERITED)


def are_many(rewrites: int, objects: int) -> bool:
    """Whether so many rewrites of an entry with so many objects are shown before all else, as the guard of deletions
    counts."""
    return rewrites > ALWAYS_FEW and rewrites > SHARE * objects
