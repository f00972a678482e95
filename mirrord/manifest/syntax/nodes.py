"""The nodes of a manifest's tree: scalars, sequences and mappings, each with its line and column.

Owns how messages show a node, a path and a scalar, and the way from a tree to plain values. `tree` reads the tree.
"""

from dataclasses import dataclass
from typing import Any

from mirrord.model import shown


@dataclass(slots=True)
class ScalarNode:
    """One scalar: `raw` as in the file, for messages; `text` with references replaced; `value` read by YAML's rules.

    `unset`: a reference had no value, or the scalar is faulty. `weight`: the number of nodes in it, to bound aliases.
    """

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
    """`partial`: an unset or faulty value in it was left out."""

    items: "list[Node]"
    line: int
    column: int
    weight: int = 1
    partial: bool = False


@dataclass(slots=True)
class MappingNode:
    """Keys are texts with references replaced; each entry keeps the scalar of its key. `label` is shown instead of an
    index.

    `partial` as in SequenceNode.
    """

    entries: "dict[str, tuple[ScalarNode, Node]]"
    line: int
    column: int
    weight: int = 1
    label: str | None = None
    partial: bool = False


Node = ScalarNode | SequenceNode | MappingNode


def joined(path: str, key: ScalarNode) -> str:
    """`path` with one more key: `.key`, or `[key]` if the key is not a plain word. Secrets of URLs are cut."""
    name = safe(key.raw)
    if name.replace("_", "").replace("-", "").isalnum():
        return f"{path}.{name}" if path else name
    return f"{path}[{name}]"


def safe(raw: str) -> str:
    """The raw text of a scalar in the form for messages: at most 80 characters, one line, no userinfo or query of a
    URL."""
    text = shown(raw)
    text = text if text.isprintable() else text.encode("unicode_escape").decode()
    return text if len(text) <= 80 else text[:77] + "…"


def quoted(node: Node) -> str:
    """The content of the file at `node`, for a message."""
    if isinstance(node, ScalarNode):
        return "nothing" if node.value is None else f'"{safe(node.raw)}"'
    return "a mapping" if isinstance(node, MappingNode) else "a list"


def consumed(root: MappingNode) -> dict[str, Any]:
    """As `plain`, and the tree is empty afterwards: each entry is removed as soon as its values are read."""
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
    """The values of a tree as dicts, tuples and scalars. Aliases are expanded."""
    if isinstance(node, ScalarNode):
        return node.value
    if isinstance(node, SequenceNode):
        return tuple(plain(item) for item in node.items)
    return {key: plain(value) for key, (_, value) in node.entries.items()}
