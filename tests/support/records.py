"""Makes records, transfers and folder specs from a flat list of fields, without their groups."""

from dataclasses import fields, replace
from typing import Any, TypeVar

from mirrord.declared import FolderSpec
from mirrord.model import Condition, Record, Transfer

Grouped = TypeVar("Grouped", Record, Transfer, FolderSpec)

_GROUPS = {Record: ("condition", "object"), Transfer: ("progress",), FolderSpec: ("target", "selection", "times")}


def with_fields(grouped: Grouped, **changes: Any) -> Grouped:
    """A copy with these fields changed; fields of its groups are given by their own names."""
    for group in _GROUPS[type(grouped)]:
        part = getattr(grouped, group)
        own = {field.name: changes.pop(field.name) for field in fields(part) if field.name in changes}
        changes[group] = replace(changes.get(group, part), **own)
    return replace(grouped, **changes)


def make_record(*, state: Any, **changes: Any) -> Record:
    """A record with these fields, including those of its groups."""
    named = {field.name: changes.pop(field.name) for field in fields(Record) if field.name in changes}
    return with_fields(Record(**{"condition": Condition(state=state), **named}), **changes)


def make_transfer(**changes: Any) -> Transfer:
    """A transfer with these fields, including those of its groups."""
    named = {field.name: changes.pop(field.name) for field in fields(Transfer) if field.name in changes}
    return with_fields(Transfer(**named), **changes)
