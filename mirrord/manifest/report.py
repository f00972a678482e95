"""Faults of a manifest as Problems: where they stand in the file, and one sentence each for a person.

Owns the way from a field's path to line, column and shown path, and the words for what pydantic refuses. A message
shows the raw text of a scalar, never what `${…}` became, and of a field that holds a secret nothing at all.
"""

from collections.abc import Sequence as Steps
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel

from mirrord.errors import Problem
from mirrord.manifest.schema import hints
from mirrord.manifest.syntax.nodes import MappingNode, Node, ScalarNode, SequenceNode, joined, quoted, safe
from mirrord.manifest.syntax.tree import SECRET

_EXPECTED = {
    "model_type": "a mapping is asked here, not {quoted}",
    "model_attributes_type": "a mapping is asked here, not {quoted}",
    "dict_type": "a mapping is asked here, not {quoted}",
    "tuple_type": "a list is asked here, not {quoted}",
    "too_short": "at least one is needed",
}
Step = str | int


@dataclass(slots=True)
class FoundNode:
    """Where a path leads in the tree. `missing`: the steps that the tree does not have."""

    node: Node
    key: ScalarNode | None
    path: str
    missing: tuple[Step, ...]
    secret: bool = False
    unset: bool = False


def find(root: Node, steps: Steps[Step]) -> FoundNode:
    """Follow `steps` as far as the tree goes."""
    spot = FoundNode(root, None, "", tuple(steps))
    while spot.missing:
        step, node = spot.missing[0], spot.node
        if isinstance(node, MappingNode) and step in node.entries:
            spot.key, spot.node = node.entries[str(step)]
            spot.path = joined(spot.path, spot.key)
            spot.secret = spot.secret or step in SECRET
        elif isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.items):
            spot.key, spot.node = None, node.items[step]
            label = spot.node.label if isinstance(spot.node, MappingNode) else None
            spot.path += f"[{step if label is None else safe(label)}]"
        else:
            break
        spot.missing = spot.missing[1:]
    spot.unset = isinstance(spot.node, ScalarNode) and spot.node.unset
    return spot


def problem(file: str, root: Node, steps: Steps[Step], message: str, *, at_key: bool = False) -> Problem:
    """A fault at a path; a step that the tree lacks is shown in the path and placed at its parent.

    It stands at the value, or with `at_key` at the key, where there is one.
    """
    spot = find(root, steps)
    path = spot.path
    if spot.missing and not isinstance(spot.node, ScalarNode):
        path = f"{path}.{spot.missing[0]}" if path else str(spot.missing[0])
    shown = "the value" if spot.secret else quoted(spot.node)
    at = (spot.key if at_key else None) or spot.node
    return Problem(file, at.line, at.column, path, message.replace("{quoted}", shown))


def refused(file: str, root: Node, model: type[BaseModel], error: dict[str, Any]) -> Problem:
    """One of pydantic's errors as a Problem."""
    kind, steps = error["type"], tuple(error["loc"])
    if kind == "extra_forbidden":
        return _unknown(file, root, model, steps)
    if kind == "missing":
        return problem(file, root, steps, "is missing")
    if steps and steps[-1] == "[key]":
        spot = find(root, steps[:-1])
        key = spot.key or spot.node
        return Problem(file, key.line, key.column, spot.path, error["msg"].replace("{quoted}", quoted(key)))
    return problem(file, root, steps, _EXPECTED.get(kind, error["msg"]))


def _unknown(file: str, root: Node, model: type[BaseModel], steps: tuple[Step, ...]) -> Problem:
    spot = find(root, steps)
    at = spot.key or spot.node
    owner = _owner(model, steps[:-1])
    known = sorted(owner.model_fields)
    hint = hints.field(str(steps[-1]), known, _paths(owner))
    hint = hint or ("; known are " + ", ".join(known) if len(known) <= 12 else "")
    return Problem(file, at.line, at.column, spot.path, "unknown field" + hint)


def _owner(model: type[BaseModel], steps: tuple[Step, ...]) -> type[BaseModel]:
    """The model of the mapping at `steps`."""
    for step in steps:
        field = model.model_fields.get(str(step))
        inner = model_in(field.annotation) if field else None
        model = inner or model  # an index, or a key of a mapping: still the same model
    return model


def _paths(model: type[BaseModel]) -> list[str]:
    """Every field of `model` and of the mappings below it, as a dotted path; the shallowest first."""
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
