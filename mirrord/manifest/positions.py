"""The positions of entries and named blocks in a manifest, kept to report faults that later steps find.

Two numbers for each field; the tree would take kilobytes for each entry.
"""

from array import array
from collections.abc import Iterator, Mapping, Sequence

from mirrord.frozen import frozen
from mirrord.manifest.syntax.nodes import MappingNode, Node, SequenceNode

_SECTIONS = ("mirrors", "folders")
_FIELDS = (
    *("", "url", "urls", "list", "path", "to", "key", "name", "store", "matrix", "after_upload", "checksum"),
    "object",  # also of the fields in it
)
_WIDTH = 1 + 2 * len(_FIELDS)
"""Numbers for each entry: its index in the file, then line and column of each field."""
_PLACES = {name: 1 + 2 * place for place, name in enumerate(_FIELDS)}
"""Where the numbers of a field begin; the name of an entry itself is empty, as no field's is."""


@frozen
class EntryPositions:
    """Positions of entries by section, and of `daemon` and `stores.x` by name. `partial`: entries of which a
    value was left out."""

    entries: Mapping[str, "array[int]"]
    named: Mapping[str, tuple[int, int]]
    partial: frozenset[tuple[str, int]]

    @classmethod
    def of(cls, tree: MappingNode) -> "EntryPositions":
        """The positions in a tree."""
        nodes = {section: _entries(tree, section) for section in _SECTIONS}
        entries = {section: _numbers(own) for section, own in nodes.items()}
        return cls(entries, _named(tree), frozenset(_partial(tree, nodes)))

    def field(self, section: str, index: int, name: str) -> tuple[int, int, int]:
        """The index of an entry in the file, and line and column of its field; of the entry if the field has no
        position."""
        numbers, start = self.entries[section], _WIDTH * index
        at = start + _PLACES.get(name, _PLACES[""])
        return numbers[start], numbers[at], numbers[at + 1]


def _entries(tree: MappingNode, section: str) -> Sequence[Node]:
    node = tree.entries[section][1] if section in tree.entries else None
    return node.items if isinstance(node, SequenceNode) else ()


def _numbers(entries: Sequence[Node]) -> "array[int]":
    numbers = array("I")
    for index, entry in enumerate(entries):
        label, fields = (entry.label, entry.entries) if isinstance(entry, MappingNode) else (None, {})
        row = [int(label) if label is not None and label.isdecimal() else index]
        row += [entry.line, entry.column] * len(_FIELDS)
        for name, (_, node) in fields.items():
            if (at := _PLACES.get(name)) is not None:
                row[at : at + 2] = node.line, node.column
        numbers.extend(row)
    return numbers


def _partial(tree: MappingNode, entries: Mapping[str, Sequence[Node]]) -> Iterator[tuple[str, int]]:
    """The entries of which a value was left out; all entries if a value of `defaults` was left out."""
    defaults = tree.entries["defaults"][1] if "defaults" in tree.entries else None
    every = isinstance(defaults, MappingNode) and defaults.partial
    for section, nodes in entries.items():
        for index, node in enumerate(nodes):
            if every or (isinstance(node, MappingNode) and node.partial):
                yield section, index


def _named(tree: MappingNode) -> dict[str, tuple[int, int]]:
    keys = {"daemon": tree.entries["daemon"][0]} if "daemon" in tree.entries else {}
    declared = tree.entries["stores"][1] if "stores" in tree.entries else None
    if isinstance(declared, MappingNode):
        keys |= {f"stores.{name}": key for name, (key, _) in declared.entries.items()}
    return {path: (key.line, key.column) for path, key in keys.items()}
