"""Dataclasses as JSON, by one rule for the whole API.

Fields by their names, enums by their values; fields that are hidden from repr (sources with secrets, headers, keys)
are left out; an item by its fields without secrets; always valid UTF-8 and no NaN.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import partial

from mirrord.events import Event
from mirrord.model import Copied, Item

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def as_json(value: object) -> Json:
    """`value` in JSON's own types. Raises TypeError for other types than those of our dataclasses."""
    match value:
        case Enum():
            return as_json(value.value)
        case None | bool() | int():
            return value
        case float():
            return value if math.isfinite(value) else None
        case str():
            return value.encode("utf-8", "replace").decode()  # a file name may contain bytes that are not valid text
        case Item():
            return _item(value)
        case Copied():
            return {name: as_json(getattr(value, name)) for name in ("kind", "size", "parts", "integrity")}
        case Mapping():
            return {str(as_json(key)): as_json(one) for key, one in value.items()}
        case Iterable():
            return [as_json(one) for one in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: as_json(getattr(value, one.name)) for one in fields(value) if one.repr}
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def event_json(event: Event) -> Json:
    """An event's fields, its name first; the item is flat, as in the log."""
    shown: dict[str, Json] = {"event": event.name}
    for one in fields(event):
        value = getattr(event, one.name)
        shown |= _item(value) if isinstance(value, Item) else {one.name: as_json(value)}
    return shown


def _item(item: Item) -> dict[str, Json]:
    at = item.destination
    shown = {
        "item": item.id,
        "entry": item.entry,
        "source": item.shown_source,
        "destination": str(at),
        "store": at.store,
        "bucket": at.bucket,
        "key": at.key,
    }
    return {name: as_json(text) for name, text in shown.items()}


dumps = partial(json.dumps, allow_nan=False, separators=(",", ":"))
