"""The JSON Schema of a manifest, for editors: descriptions, defaults, words. Accepts whatever the loader accepts.

Made from the same models; added here are the forms that `load` unfolds (mirrors as a mapping, sections left empty) and
`${…}`, which may stand for any scalar. Rules between fields are the loader's alone.
"""

from collections.abc import Iterable
from typing import Any

from mirrord.manifest.schema.document import Document

Schema = dict[str, Any]

_REFERENCE: Schema = {"type": "string", "pattern": r"\$\{[^}]+\}"}
_NOTHING: Schema = {"type": "null"}
_SCALARS = frozenset({"string", "integer", "number", "boolean"})
_SAID = frozenset({"description", "default"})
_KEPT = frozenset({"type", "description", "required", "additionalProperties"})


def json_schema() -> Schema:
    """A JSON Schema, draft 2020-12."""
    made = Document.model_json_schema(mode="validation")
    models: Schema = {name: _model(one) for name, one in made["$defs"].items()}
    document = _model(made)
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


def _model(model: Schema) -> Schema:
    """One mapping of the manifest, each field with its sentence and default."""
    kept = {name: value for name, value in model.items() if name in _KEPT}
    return {**kept, "properties": {name: _field(one) for name, one in model.get("properties", {}).items()}}


def _field(field: Schema) -> Schema:
    said = {name: field[name] for name in _SAID & field.keys() if field[name] is not None}
    if isinstance(said.get("default"), dict):
        del said["default"]  # the defaults of its own fields say it
    inside = {name: value for name, value in field.items() if name not in (*_SAID, "title")}
    return {**_any_of(inside), **dict(sorted(said.items(), reverse=True))}


def _any_of(*schemas: Schema) -> Schema:
    """The alternatives as one flat list, with `${…}` among them if any is a scalar."""
    said = {name: value for one in schemas for name, value in one.items() if name in _SAID}
    flat = list(_flat(schemas))
    if any(_takes_reference(one) for one in flat) and _REFERENCE not in flat:
        flat.append(_REFERENCE)
    return {**said, **flat[0]} if len(flat) == 1 else {**said, "anyOf": flat}


def _flat(schemas: Iterable[Schema]) -> Iterable[Schema]:
    for one in schemas:
        if "anyOf" in one:
            yield from _flat(one["anyOf"])
        elif inside := {name: value for name, value in one.items() if name not in _SAID}:
            yield _inner(inside)


def _inner(schema: Schema) -> Schema:
    """A list or mapping whose own values may be `${…}` too."""
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
