"""Records, transfers and specs of folders, with every field by its own name, whichever group holds it."""

from dataclasses import fields, replace
from typing import Any, TypeVar

from mirrord.declared import FolderSpec
from mirrord.model import Condition, Record, Transfer

Noun = TypeVar("Noun", Record, Transfer, FolderSpec)

_GROUPS = {Record: ("condition", "object"), Transfer: ("progress",), FolderSpec: ("target", "selection", "times")}


def with_fields(noun: Noun, **changes: Any) -> Noun:
    """`noun` with these fields, its own or those of its groups, changed."""
    for group in _GROUPS[type(noun)]:
        part = getattr(noun, group)
        own = {field.name: changes.pop(field.name) for field in fields(part) if field.name in changes}
        changes[group] = replace(changes.get(group, part), **own)
    return replace(noun, **changes)


def make_record(*, state: Any, **changes: Any) -> Record:
    """A record with these fields, its own or its groups'."""
    named = {field.name: changes.pop(field.name) for field in fields(Record) if field.name in changes}
    return with_fields(Record(**{"condition": Condition(state=state), **named}), **changes)


def make_transfer(**changes: Any) -> Transfer:
    """A transfer with these fields, its own or its groups'."""
    named = {field.name: changes.pop(field.name) for field in fields(Transfer) if field.name in changes}
    return with_fields(Transfer(**named), **changes)
