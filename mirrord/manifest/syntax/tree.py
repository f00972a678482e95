"""Reads a YAML document into a tree of `nodes`.

Owns parsing: one loop without recursion turns libyaml's events into nodes, so that nesting, aliases and merge keys are
bounded while they are read, before they are expanded. Refuses duplicate keys, keys that are not scalars, unknown tags
and a second document. The schema decides which values a field accepts.
"""

import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from mirrord.errors import Problem
from mirrord.manifest.syntax import yaml_errors
from mirrord.manifest.syntax.nodes import MappingNode, Node, ScalarNode, SequenceNode, joined, safe
from mirrord.manifest.syntax.scalars import BareReference, FaultyValue, Interpolation, ReferenceText, core_value
from mirrord.model import shown

_SECRET = frozenset(
    {
        *("api_token", "read_token", "access_key_id", "secret_access_key", "session_token"),
        *("bearer", "username", "password", "headers", "secret", "heartbeat", "customer_keys"),
    }
)
DEEPEST = 32
"""Levels of nesting; the schema needs eight."""
MOST_ALIASED = 200_000
"""Nodes that all aliases and merge keys together may repeat. An alias bomb exceeds it after a few lines."""

_LONGEST_COMMON = 24  # characters

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_YAML_TAG = "tag:yaml.org,2002:"
_TEXT_TAGS = frozenset({"!", _YAML_TAG + "str"})
_PLAIN_TAGS = frozenset(_YAML_TAG + kind for kind in ("int", "float", "bool", "null"))


@dataclass(slots=True)
class _Frame:
    """One open container; of a mapping also the key whose value is read next."""

    node: MappingNode | SequenceNode
    anchor: str | None
    key: ScalarNode | None = None
    merged: list[MappingNode] = field(default_factory=list)


def is_secret(fields: Collection[object]) -> bool:
    """Whether no value below these fields, the innermost last, is shown in a message. The path of a webhook's URL often
    is a secret, and so is a scalar where a mapping with a secret is asked, like `basic: user:password`."""
    if not _SECRET.isdisjoint(fields) or ("notify" in fields and "url" in fields):
        return True
    return next(reversed(tuple(fields)), None) in ("notify", "credentials", "basic")


class Unreadable(Exception):
    """The rest of the file cannot be read."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class Tree:
    """Reads one document. `problems` collects faults after which reading can continue."""

    def __init__(self, file: str, interpolation: Interpolation) -> None:
        self._file = file
        self._interpolation = interpolation
        self._stack: list[_Frame] = []
        self._anchors: dict[str, Node | None] = {}
        self._aliased = 0
        self._line = 0
        self._root: Node | None = None
        self.problems: list[Problem] = []

    def read(self, content: bytes) -> Node | None:
        """The root of a document in UTF-8, None if there is no document. Raises Unreadable."""
        documents = 0
        for event in self._events(content):
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._fatal(event.start_mark, "a second document; a manifest is one, so make it another file")
            else:
                self._take(event)
        return self._root

    def _events(self, content: bytes) -> Iterator[yaml.Event]:
        loader = None
        try:
            loader = _Loader(content)  # libyaml copies a str twice
            while (event := loader.get_event()) is not None:
                yield event
        except yaml.reader.ReaderError as error:
            raise Unreadable(_unprintable(self._file, content.decode(), error)) from None
        except yaml.MarkedYAMLError as error:
            mark, message = yaml_errors.explain(content.decode(), error)
            if message.startswith(yaml_errors.IN_LAST_VALUE):
                self._back_to_last_item()
            raise self._fatal(mark, message) from None
        finally:
            if loader is not None:
                loader.dispose()

    def _back_to_last_item(self) -> None:
        """Remove the item that was read last: the fault is in it, not in the next item."""
        open_ = self._stack[-1].node if self._stack else None
        if isinstance(open_, SequenceNode) and open_.items:
            open_.items.pop()

    def _take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._add(self._scalar(event), event.anchor)
        elif isinstance(event, yaml.AliasEvent):
            self._add(self._alias(event), None)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._open(event)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._close()

    # ── nodes ─────────────────────────────────────────────────────────────────────────────────────
    def _scalar(self, event: yaml.ScalarEvent) -> ScalarNode:
        line, column = _position(event.start_mark)
        if line == self._line:
            line = self._line  # one int object for all scalars of a line
        self._line = line
        raw, tag = event.value, event.tag
        if len(raw) <= _LONGEST_COMMON:
            raw = sys.intern(raw)  # names of fields, and values that many entries share
        plain = event.style in (None, "") and tag not in _TEXT_TAGS
        scalar = ScalarNode(raw, raw, raw, line, column)
        if tag is not None and tag not in _TEXT_TAGS:
            if tag not in _PLAIN_TAGS:
                return self._faulty(scalar, _unknown_tag(tag))
            plain = True
        try:
            filled = self._interpolation.fill(raw, self._section())
        except ValueError as error:
            message = str(error)
            if isinstance(error, BareReference) and not self._secret(raw):
                message = message.replace("NAME", error.name)
            return self._faulty(scalar, message)
        scalar.text, scalar.unset = filled.text, filled.unset
        scalar.value = filled.text
        if plain and filled.whole:
            scalar.value = ReferenceText(filled.text)
        elif plain and "${" not in raw:
            scalar.value = core_value(filled.text)
        scalar.merges = plain and raw == "<<"
        return scalar

    def _faulty(self, scalar: ScalarNode, message: str) -> ScalarNode:
        """The scalar with its fault reported, marked so that it causes no further report."""
        self._report(scalar, message)
        scalar.value, scalar.unset = FaultyValue(), True
        return scalar

    def _alias(self, event: yaml.AliasEvent) -> Node:
        line, column = _position(event.start_mark)
        name = str(event.anchor)
        node = self._anchors.get(name)
        if node is None:
            fault = "contains itself" if name in self._anchors else f"has no anchor before it; {yaml_errors.bare('*')}"
            raise self._fatal(event.start_mark, f"the alias *{name} {fault}")
        self._repeat(node.weight, line, column)
        return node

    def _repeat(self, weight: int, line: int, column: int) -> None:
        self._aliased += weight
        if self._aliased > MOST_ALIASED:
            message = f"aliases repeat more than {MOST_ALIASED:,} values; write fewer"
            raise Unreadable(Problem(self._file, line, column, self._path(), message))

    def _open(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        line, column = _position(event.start_mark)
        node: MappingNode | SequenceNode
        node = (
            MappingNode({}, line, column)
            if isinstance(event, yaml.MappingStartEvent)
            else SequenceNode([], line, column)
        )
        if len(self._stack) >= DEEPEST:
            raise self._fatal(event.start_mark, f"nested deeper than {DEEPEST} levels")
        kind = "map" if isinstance(node, MappingNode) else "seq"
        if event.tag is not None and event.tag not in ("!", _YAML_TAG + kind):
            self._report(node, _unknown_tag(event.tag))
        if event.anchor:
            self._anchors[event.anchor] = None  # until it is closed: an alias inside it would contain itself
        self._stack.append(_Frame(node, event.anchor))

    def _close(self) -> None:
        frame = self._stack.pop()
        node = frame.node
        if isinstance(node, MappingNode):
            for other in frame.merged:
                for key, entry in other.entries.items():
                    node.entries.setdefault(key, entry)
            node.weight += sum(1 + value.weight for _, value in node.entries.values())
        else:
            node.weight += sum(item.weight for item in node.items)
        self._add(node, frame.anchor)

    def _add(self, node: Node, anchor: str | None) -> None:
        if anchor:
            self._anchors[anchor] = node
        if not self._stack:
            self._root = node
            return
        frame = self._stack[-1]
        if isinstance(frame.node, SequenceNode):
            frame.node.items.append(node)
        elif frame.key is None:
            frame.key = self._key(node)
        else:
            key, frame.key = frame.key, None
            if key.merges:
                self._merge(frame, key, node)
            else:
                self._enter(frame.node, key, node)

    def _key(self, node: Node) -> ScalarNode:
        if isinstance(node, ScalarNode):
            return node
        raise Unreadable(
            Problem(self._file, node.line, node.column, self._path(), "a key must be one plain word or text")
        )

    def _enter(self, mapping: MappingNode, key: ScalarNode, value: Node) -> None:
        first = mapping.entries.setdefault(key.text, (key, value))[0]
        if first is not key:
            message = f"given twice in one mapping; first in line {first.line}"
            self.problems.append(Problem(self._file, key.line, key.column, joined(self._path(), key), message))

    def _merge(self, frame: _Frame, key: ScalarNode, value: Node) -> None:
        for other in value.items if isinstance(value, SequenceNode) else [value]:
            if isinstance(other, MappingNode):
                self._repeat(other.weight, key.line, key.column)
                frame.merged.append(other)
            else:
                self._report(key, "<< merges mappings; give it an alias of one, or a list of those")

    def _section(self) -> str:
        """The section of the document that is being read; empty outside of sections."""
        key = self._stack[0].key if self._stack else None
        return "" if key is None else key.raw

    def _secret(self, raw: str) -> bool:
        """Whether the next scalar may hold a secret: by its field, or as a URL with userinfo or query."""
        fields = [frame.key.raw for frame in self._stack if frame.key is not None]
        return is_secret(fields) or shown(raw) != raw

    # ── problems ──────────────────────────────────────────────────────────────────────────────────
    def _path(self) -> str:
        path = ""
        for frame in self._stack:
            if isinstance(frame.node, SequenceNode):
                path += f"[{len(frame.node.items)}]"
            elif frame.key is not None:
                path = joined(path, frame.key)
        return path

    def _report(self, node: Node, message: str) -> None:
        self.problems.append(Problem(self._file, node.line, node.column, self._path(), message))

    def _fatal(self, mark: Any, message: str) -> Unreadable:
        line, column = _position(mark) if mark is not None else (1, 1)
        return Unreadable(Problem(self._file, line, column, self._path(), message))


def _unknown_tag(tag: str) -> str:
    """The message about a tag. YAML reads an unquoted pattern like !*.log as a tag."""
    hint = f"; {yaml_errors.bare('!')}" if tag.startswith("!") else ""
    return f"the tag {safe(tag)} has no meaning in a manifest{hint}"


def _position(mark: Any) -> tuple[int, int]:
    return mark.line + 1, mark.column + 1


def _unprintable(file: str, text: str, error: yaml.reader.ReaderError) -> Problem:
    """The problem of a character that YAML does not allow. libyaml gives no line for it, so the first one is
    searched."""
    at = next((index for index, char in enumerate(text) if not _allowed(char)), None)
    if at is None:
        return Problem(file, 1, 1, "", f"not YAML: {error.reason}")
    before = text[:at]
    line, column = before.count("\n") + 1, at - (before.rfind("\n") + 1) + 1
    return Problem(file, line, column, "", f"the character U+{ord(text[at]):04X} is not allowed in YAML")


def _allowed(char: str) -> bool:
    code = ord(char)
    return char in "\t\n\r\x85" or 0x20 <= code <= 0x7E or 0xA0 <= code <= 0xD7FF or 0xE000 <= code <= 0x10FFFF
