"""The nodes of a manifest's tree: scalars, sequences and mappings, each with its line and column.

Owns how a node, a path and a scalar are shown in messages, and the way from a tree to plain values. The tree is read
by `tree`.
"""

from dataclasses import dataclass
from typing import Any

from mirrord.model import shown


@dataclass(slots=True)
class ScalarNode:
    """One scalar: `raw` as in the file, for messages; `text` filled in; `value` read as a plain or quoted scalar."""

    raw: str
    text: str
    value: object
    line: int
    column: int
    unset: bool = False
    weight: int = 1
    merges: bool = False


@dataclass(slots=True)
class SequenceNode:
    """`partial`: a value in it is not known or at fault, and was left out."""

    items: "list[Node]"
    line: int
    column: int
    weight: int = 1
    partial: bool = False


@dataclass(slots=True)
class MappingNode:
    """Keys are the filled-in texts; each entry keeps its key's scalar. `label` names it where an index would not.

    `partial` as in SequenceNode."""

    entries: "dict[str, tuple[ScalarNode, Node]]"
    line: int
    column: int
    weight: int = 1
    label: str | None = None
    partial: bool = False


Node = ScalarNode | SequenceNode | MappingNode


def joined(path: str, key: ScalarNode) -> str:
    """`path` with one more key: `.key`, or `[key]` where the key is no plain word; secrets of URLs cut."""
    name = safe(key.raw)
    if name.replace("_", "").replace("-", "").isalnum():
        return f"{path}.{name}" if path else name
    return f"{path}[{name}]"


def safe(raw: str) -> str:
    """Raw text of a scalar as messages may show it: short, one line, without userinfo and query of a URL."""
    text = shown(raw)
    text = text if text.isprintable() else text.encode("unicode_escape").decode()
    return text if len(text) <= 80 else text[:77] + "…"


def quoted(node: Node) -> str:
    """What stands in the file at `node`, for a message."""
    if isinstance(node, ScalarNode):
        return "nothing" if node.value is None else f'"{safe(node.raw)}"'
    return "a mapping" if isinstance(node, MappingNode) else "a list"


def consumed(root: MappingNode) -> dict[str, Any]:
    """As `plain`, and the tree is empty afterwards: each entry goes as soon as its values are there."""
    values: dict[str, Any] = {}
    for key in list(root.entries):
        node = root.entries.pop(key)[1]
        if not isinstance(node, SequenceNode):
            values[key] = plain(node)
            continue
        node.items.reverse()
        values[key] = tuple(plain(node.items.pop()) for _ in range(len(node.items)))
    return values


def plain(node: Node) -> Any:
    """The values of a tree as dicts, tuples and scalars; aliases are repeated."""
    if isinstance(node, ScalarNode):
        return node.value
    if isinstance(node, SequenceNode):
        return tuple(plain(item) for item in node.items)
    return {key: plain(value) for key, (_, value) in node.entries.items()}
