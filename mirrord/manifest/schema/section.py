"""The base class of all mappings in a manifest: strict, closed, frozen, documented by its docstrings."""

from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo

from mirrord.units import GiB, KiB, MiB

_UNITS = (("GiB", GiB), ("MiB", MiB), ("KiB", KiB))


def auto_field() -> Any:
    """A field with the default None, which a manifest writes as `auto`."""
    return Field(default=None, json_schema_extra={"default": "auto"})


def duration_field(seconds: float | None) -> Any:
    """A field with a default duration; None: `never`. The JSON Schema shows it in the form of manifests."""
    if seconds is None:
        return Field(default=None, json_schema_extra={"default": "never"})
    text = f"{seconds / 3600:g}h" if seconds and seconds % 3600 == 0 else f"{seconds:g}s"
    return Field(default=seconds, json_schema_extra={"default": text})


def size_field(count: int, per: str = "") -> Any:
    """A field with a default size in bytes, or with `per` a rate. The JSON Schema shows it in the form of manifests."""
    unit, scale = next(((unit, scale) for unit, scale in _UNITS if count % scale == 0), ("B", 1))
    return Field(default=count, json_schema_extra={"default": f"{count // scale}{unit}{per}"})


class Section(BaseModel):
    """Base class of all mappings in a manifest.

    A section of defaults is made by `model_construct()`: a call of the class would build a validator for it alone.
    """

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        defer_build=True,  # one validator for the document, when it is first used, in place of one for each class
    )

    def __hash__(self) -> int:
        """The same for all sections of a type: pydantic would copy a default without a hash (one with a dict) for each
        entry that leaves the field out."""
        return hash(type(self))


AnySection = TypeVar("AnySection", bound=Section)
EntryKey = tuple[Any, ...]


_EMPTY: dict[Any, Any] = {}
"""All empty mappings of entries: pydantic makes one for each entry that leaves the field out."""


@dataclass(slots=True)
class SharedSections:
    """Parts that entries of one document share: sets of field names, and the last section of each type.

    `former`: the entries of the previous version of the file, by `entry_key`. Entries that did not change are shared
    with it, because both versions are in memory while the file is reloaded.
    """

    names: dict[frozenset[str], set[str]] = field(default_factory=dict)
    sections: dict[type[Section], Section] = field(default_factory=dict)
    former: dict[EntryKey, Section] = field(default_factory=dict)


def entry_key(entry: Section) -> EntryKey:
    """What an entry of a former version is found by: its type and its texts that differ from those of other entries."""
    return type(entry), getattr(entry, "url", None), getattr(entry, "path", None), getattr(entry, "to", None)


def compact(entry: AnySection, about: ValidationInfo) -> AnySection:
    """An equal entry that needs a third of the memory. pydantic gives each instance its own dict; attributes that are
    set one by one share their names with all other instances. Entries with equal sections share them, by means of the
    context of the validation."""
    shared = about.context if isinstance(about.context, SharedSections) else SharedSections()
    former = shared.former.get(entry_key(entry)) if shared.former else None
    return cast("AnySection", former) if former is not None and _same(former, entry) else _compact(entry, shared)


def _compact(entry: AnySection, shared: SharedSections) -> AnySection:
    made = type(entry).__new__(type(entry))
    given = shared.names.setdefault(frozenset(entry.model_fields_set), entry.model_fields_set)
    set_value = object.__setattr__
    for name, value in vars(entry).items():  # of 25, with a million entries
        if name in given and isinstance(value, Section):
            value = _common(value, shared)
        elif type(value) is dict and not value:
            value = _EMPTY
        set_value(made, name, value)
    for slot, value in (("fields_set", given), ("extra", None), ("private", None)):
        object.__setattr__(made, f"__pydantic_{slot}__", value)
    return made


def _common(section: Section, shared: SharedSections) -> Section:
    """The last section of its type if it is equal; else this one, compact."""
    last = shared.sections.get(type(section))
    if last is None or not _same(last, section):
        last = shared.sections[type(section)] = _compact(section, shared)
    return last


def _same(one: Section, other: Section) -> bool:
    """Whether they are equal and set the same fields. pydantic's own comparison ignores which fields are set."""
    if one.model_fields_set != other.model_fields_set or one != other:
        return False
    inner = ((value, getattr(other, name)) for name, value in vars(one).items() if isinstance(value, Section))
    return all(_same(*pair) for pair in inner)
