"""The JSON Schema of a manifest, for editors: descriptions, defaults, words. It accepts all that the loader accepts.

It is made from the same models. This module adds the forms that `load` converts (mirrors as a mapping, empty sections)
and `${…}` for any scalar. Only the loader checks rules between fields.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mirrord.manifest.schema.descriptions import descriptions
from mirrord.manifest.schema.document import Document
from mirrord.manifest.schema.section import Section

Schema = dict[str, Any]

_REFERENCE: Schema = {"type": "string", "pattern": r"\$\{[^}]+\}"}
_NOTHING: Schema = {"type": "null"}
_SCALARS = frozenset({"string", "integer", "number", "boolean"})
_ANNOTATIONS = frozenset({"description", "default"})
_KEPT = frozenset({"type", "description", "required", "additionalProperties"})


def json_schema() -> Schema:
    """A JSON Schema, draft 2020-12."""
    made = Document.model_json_schema(mode="validation")
    texts = {section.__name__: descriptions(section) for section in _sections(Section)}
    models: Schema = {name: _model(one, texts[name]) for name, one in made["$defs"].items()}
    document = _model(made, texts[Document.__name__])
    mapping = _unfolded(models)
    sections = document["properties"]
    sections["mirrors"] = _any_of(sections["mirrors"], mapping, _NOTHING)
    for name in ("stores", "defaults", "folders", "daemon"):
        sections[name] = _any_of(sections[name], _NOTHING)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "mirrord manifest",
        **document,
        "$defs": models,
    }


def _sections(base: type[Section]) -> Iterator[type[Section]]:
    for section in base.__subclasses__():
        yield section
        yield from _sections(section)


def _model(model: Schema, texts: Mapping[str, str]) -> Schema:
    """One mapping of the manifest, each field with its description and default."""
    kept = {name: value for name, value in model.items() if name in _KEPT}
    fields = model.get("properties", {}).items()
    described = {name: {**one, "description": texts[name]} if name in texts else one for name, one in fields}
    return {**kept, "properties": {name: _field(one) for name, one in described.items()}}


def _field(field: Schema) -> Schema:
    annotations = {name: field[name] for name in _ANNOTATIONS & field.keys() if field[name] is not None}
    if isinstance(annotations.get("default"), dict):
        del annotations["default"]  # its own fields have their defaults
    inside = {name: value for name, value in field.items() if name not in (*_ANNOTATIONS, "title")}
    return {**_any_of(inside), **dict(sorted(annotations.items(), reverse=True))}


def _any_of(*schemas: Schema) -> Schema:
    """The alternatives as one flat list, with `${…}` among them if any is a scalar."""
    annotations = {name: value for one in schemas for name, value in one.items() if name in _ANNOTATIONS}
    flat = list(_flat(schemas))
    if any(_takes_reference(one) for one in flat) and _REFERENCE not in flat:
        flat.append(_REFERENCE)
    return {**annotations, **flat[0]} if len(flat) == 1 else {**annotations, "anyOf": flat}


def _flat(schemas: Iterable[Schema]) -> Iterable[Schema]:
    for one in schemas:
        if "anyOf" in one:
            yield from _flat(one["anyOf"])
        elif inside := {name: value for name, value in one.items() if name not in _ANNOTATIONS}:
            yield _inner(inside)


def _inner(schema: Schema) -> Schema:
    """A list or mapping whose values may be `${…}` too."""
    changed = dict(schema)
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            changed[name] = _any_of(schema[name])
    if "patternProperties" in schema:
        changed["patternProperties"] = {pattern: _any_of(one) for pattern, one in schema["patternProperties"].items()}
    return changed


def _takes_reference(schema: Schema) -> bool:
    if schema.get("type") == "string" and "pattern" not in schema:
        return False
    return schema.get("type") in _SCALARS or "enum" in schema or "const" in schema


def _unfolded(models: Schema) -> Schema:
    """url -> "s3://…" or url -> {options}."""
    mirror = models["MirrorSection"]
    fields = {name: field for name, field in mirror["properties"].items() if name not in ("url", "urls", "list")}
    models["MirrorOptions"] = {**mirror, "properties": fields}
    return {"type": "object", "additionalProperties": _any_of(fields["to"], {"$ref": "#/$defs/MirrorOptions"})}
