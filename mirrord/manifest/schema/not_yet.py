"""NOT_YET: the one table of fields, and values of fields, that the schema has and mirrord does not implement yet.

Any value but the default is an error, so that no setting of a manifest is silently without effect. The change that adds
the behaviour deletes the row. `*` means mirrors and folders; `defaults` are checked like the entries that use them.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from pydantic.fields import FieldInfo

from mirrord.frozen import frozen
from mirrord.manifest.report import Step, model_in
from mirrord.manifest.schema.document import Document
from mirrord.manifest.schema.section import Section


def _any(_: Any) -> bool:
    return True


@frozen
class NotYetRow:
    """What is missing. `when`: only these values. `promised`: the default, too, is not enforced yet."""

    missing: str
    when: Callable[[Any], bool] = _any
    promised: bool = False

    @property
    def whole(self) -> bool:
        """The field has no behaviour except for its default."""
        return self.when is _any


NOT_YET: dict[str, NotYetRow] = {}


@cache  # each entry has the same few fields
def row_of(names: tuple[str, ...]) -> NotYetRow | None:
    """The row of a field, None if it has none. `names`: from the document down, without indices and keys."""
    section, *rest = names
    sections = {"mirrors": ("mirrors", "*"), "folders": ("folders", "*"), "defaults": ("mirrors", "folders", "*")}
    paths = (".".join((one, *rest)) for one in sections.get(section, (section,)))
    return next((NOT_YET[path] for path in paths if path in NOT_YET), None)


def breaches(document: Document) -> Iterator[tuple[tuple[Step, ...], str]]:
    """All fields of the document with a value that has no behaviour yet: the path, and the message."""
    yield from _walk(document, (), ())


def _walk(section: Section, steps: tuple[Step, ...], names: tuple[str, ...]) -> Iterator[tuple[tuple[Step, ...], str]]:
    for name in section.model_fields_set:
        value, here = getattr(section, name), (*names, name)
        row = row_of(here)
        if row is None:
            for step, inner in _sections(value):
                yield from _walk(inner, (*steps, name, *step), here)
        elif value != type(section).model_fields[name].get_default() and row.when(value):
            what = name if row.whole else "this value"
            yield (*steps, name), f"{what} has no effect yet: mirrord still lacks {row.missing}; remove it"


def _sections(value: object) -> Iterator[tuple[tuple[Step, ...], Section]]:
    if isinstance(value, Section):
        yield (), value
    elif isinstance(value, tuple):
        yield from (((index,), one) for index, one in enumerate(value) if isinstance(one, Section))
    elif isinstance(value, dict):
        yield from (((key,), one) for key, one in value.items() if isinstance(one, Section))


def every_field(model: type[Section] = Document, names: tuple[str, ...] = ()) -> Iterator[tuple[str, FieldInfo]]:
    """All fields that hold a value, by their dotted path. `defaults` repeats the fields of entries and is left out."""
    for name, field in model.model_fields.items():
        here = (*names, name)
        inner = model_in(field.annotation)
        if here == ("defaults",):
            continue
        if inner is not None and issubclass(inner, Section) and row_of(here) is None:
            yield from every_field(inner, here)
        else:
            yield ".".join(here), field


def promised_defaults() -> tuple[tuple[str, str, str], ...]:
    """Defaults that are not yet enforced, as (field, default as written in a manifest, what is missing)."""
    found = []
    for path, field in every_field():
        row = row_of(tuple(path.split(".")))
        if row is not None and row.promised:
            extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
            found.append((path, str(extra.get("default", field.default)), row.missing))
    return tuple(found)


def not_enforced() -> tuple[str, ...]:
    """The same as texts for people."""
    return tuple(f"{name}: {default} ({missing})" for name, default, missing in promised_defaults())
