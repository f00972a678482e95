"""The base of every mapping in a manifest: strict, closed, frozen, documented by its docstrings."""

from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field


def preset(text: str, value: float | None) -> Any:
    """A field whose default is `value`, which people write as `text`."""
    return Field(default=value, json_schema_extra={"default": text})


class Section(BaseModel):
    """Base of every mapping in a manifest."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True
    )

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Itself: nothing in it changes, and pydantic copies a default for every entry that leaves it out."""
        return self


Entry = TypeVar("Entry", bound=Section)


def compact(entry: Entry) -> Entry:
    """An equal entry in a third of the memory. pydantic gives every instance a dict of its own; attributes that are set
    one by one share their names with those of all other instances."""
    made = type(entry).__new__(type(entry))
    for name, value in vars(entry).items():
        object.__setattr__(made, name, value)
    for slot in ("__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__"):
        object.__setattr__(made, slot, getattr(entry, slot))
    return made
