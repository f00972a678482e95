"""Faults of a manifest as Problems: their position in the file, and one sentence for the user.

Owns the way from a field's path to line, column and shown path, and the messages for pydantic's errors. A message
shows the raw text of a scalar, never the value of `${…}`; of a field that holds a secret it shows no text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel

from mirrord.errors import Problem
from mirrord.manifest.schema import hints
from mirrord.manifest.schema.entries import MOST_URLS
from mirrord.manifest.syntax.nodes import MappingNode, Node, ScalarNode, SequenceNode, joined, quoted, safe
from mirrord.manifest.syntax.tree import is_secret

_EXPECTED = {
    "model_type": "a mapping is asked here, not {quoted}",
    "model_attributes_type": "a mapping is asked here, not {quoted}",
    "dict_type": "a mapping is asked here, not {quoted}",
    "tuple_type": "a list is asked here, not {quoted}",
    "too_short": "at least one is needed",
    "too_long": f"at most {MOST_URLS} are allowed",
}
Step = str | int


@dataclass(slots=True)
class FoundNode:
    """The node at a path in the tree. `missing`: the steps that the tree does not have."""

    node: Node
    key: ScalarNode | None
    path: str
    missing: tuple[Step, ...]
    secret: bool = False
    unset: bool = False


def find(root: Node, steps: Sequence[Step]) -> FoundNode:
    """Follow `steps` as far as the tree has them."""
    found, named = FoundNode(root, None, "", tuple(steps)), list[Step]()
    while found.missing:
        step, node = found.missing[0], found.node
        if isinstance(node, MappingNode) and step in node.entries:
            found.key, found.node = node.entries[str(step)]
            found.path = joined(found.path, found.key)
            named.append(step)
        elif isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.items):
            found.key, found.node = None, node.items[step]
            label = found.node.label if isinstance(found.node, MappingNode) else None
            found.path += f"[{step if label is None else safe(label)}]"
        else:
            break
        found.missing = found.missing[1:]
    found.secret = is_secret(named)
    found.unset = isinstance(found.node, ScalarNode) and found.node.unset
    return found


def problem(file: str, root: Node, steps: Sequence[Step], message: str, *, at_key: bool = False) -> Problem:
    """A fault at a path. A step that the tree lacks is shown in the path; its position is that of its parent.

    The position is that of the value; with `at_key`, of the key, if there is one.
    """
    found = find(root, steps)
    path = found.path
    if found.missing and not isinstance(found.node, ScalarNode):
        path = f"{path}.{found.missing[0]}" if path else str(found.missing[0])
    shown = "the value" if found.secret else quoted(found.node)
    at = (found.key if at_key else None) or found.node
    return Problem(file, at.line, at.column, path, message.replace("{quoted}", shown))


def refused(file: str, root: Node, model: type[BaseModel], error: dict[str, Any]) -> Problem:
    """One error of pydantic as a Problem."""
    kind, steps = error["type"], tuple(error["loc"])
    if kind == "extra_forbidden":
        return _unknown(file, root, model, steps)
    if kind == "missing":
        return problem(file, root, steps, "is missing")
    if steps and steps[-1] == "[key]":
        found = find(root, steps[:-1])
        key = found.key or found.node
        path, shown = found.path, quoted(key)
        if found.secret:  # as in `headers: {"Authorization: Bearer …": }`
            path, shown = find(root, steps[:-2]).path, "this name"
        return Problem(file, key.line, key.column, path, error["msg"].replace("{quoted}", shown))
    return problem(file, root, steps, _EXPECTED.get(kind, error["msg"]))


def _unknown(file: str, root: Node, model: type[BaseModel], steps: tuple[Step, ...]) -> Problem:
    found = find(root, steps)
    at = found.key or found.node
    owner = _owner(model, steps[:-1])
    known = sorted(owner.model_fields)
    hint = hints.field(str(steps[-1]), known, _paths(owner))
    hint = hint or ("; known are " + ", ".join(known) if len(known) <= 12 else "")
    return Problem(file, at.line, at.column, found.path, "unknown field" + hint)


def _owner(model: type[BaseModel], steps: tuple[Step, ...]) -> type[BaseModel]:
    """The model of the mapping at `steps`."""
    for step in steps:
        field = model.model_fields.get(str(step))
        inner = model_in(field.annotation) if field else None
        model = inner or model  # an index, or a key of a mapping: the same model
    return model


def _paths(model: type[BaseModel]) -> list[str]:
    """All fields of `model` and of the mappings below it, as dotted paths; the shallowest first."""
    level, found = [("", model)], []
    while level:
        deeper = []
        for prefix, one in level:
            for name, field in one.model_fields.items():
                found.append(prefix + name)
                if (inner := model_in(field.annotation)) is not None:
                    deeper.append((f"{prefix}{name}.", inner))
        level = deeper
    return found


def model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation holds: itself, or inside Optional, tuple, dict or Annotated."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := model_in(part))), None)
