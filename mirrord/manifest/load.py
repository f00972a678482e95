"""One manifest file from bytes to a validated document. All faults of the file are found in one pass.

Owns reading, the two forms of `mirrors`, and the checks of one file: text, tree, types, rules between fields, NOT_YET.
A faulty value is reported and left out, so that it hides no other fault. For any bytes, ManifestError is the only
error. Returns `Parsed`; `manifest` joins the files.
"""

import os
from codecs import BOM_UTF8
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mirrord.errors import ManifestError, Problem
from mirrord.frozen import frozen
from mirrord.manifest import report, rules
from mirrord.manifest.files import read_file
from mirrord.manifest.positions import EntryPositions
from mirrord.manifest.schema import not_yet
from mirrord.manifest.schema.document import DaemonSection, Document
from mirrord.manifest.schema.section import EntryKey, Section, SharedSections, entry_key
from mirrord.manifest.syntax.nodes import MappingNode, Node, ScalarNode, SequenceNode, consumed, plain, safe
from mirrord.manifest.syntax.scalars import FaultyValue, Interpolation
from mirrord.manifest.syntax.tree import Tree, Unreadable

LARGEST_FILE = 64 * 1024 * 1024
"""Bytes; about 500,000 entries."""
_SECTIONS = ("stores", "defaults", "mirrors", "folders", "daemon")
_ENTRY_FIELDS = frozenset({"url", "urls", "list", "path", "to"})
_ROUNDS = 64  # when an unset value is left out, its parent may be left out too: one level in each round


@frozen
class Parsed:
    """A document, the positions of its entries, and a digest of all that was read for it."""

    document: Document
    positions: EntryPositions
    digest: str
    incomplete: bool = False
    """A value was unset, which `allow_unset` allowed."""
    problems: tuple[Problem, ...] = ()
    """All faults of the file, in file order. `document` is then without the faulty values."""
    stores: frozenset[str] = frozenset()
    """The names of all stores that the file declares, also of those that were left out."""


def read(file: str, *, pipe: bool = False) -> bytes:
    """The bytes of the file. With `pipe` it may be a pipe, or `-` for standard input.

    Raises ManifestError if it is not a regular file, cannot be read or is larger than LARGEST_FILE.
    """
    try:
        content = read_file(file, LARGEST_FILE, pipe=pipe)
    except OSError as error:
        why = error.strerror or str(error)
        if os.path.islink(file) and not os.path.exists(file):
            why = f"a link to {os.path.join(os.path.dirname(file), os.readlink(file))}, which does not exist"
        raise ManifestError([Problem(file, 1, 1, "", f"cannot be read: {why}")]) from error
    if len(content) > LARGEST_FILE:
        raise ManifestError([Problem(file, 1, 1, "", "larger than 64 MiB; split it")])
    return content


def parse(
    file: str,
    content: bytes,
    environ: Mapping[str, str],
    *,
    allow_unset: bool = False,
    former: Document | None = None,
) -> Parsed:
    """A document from the bytes of `file`, with all problems. ManifestError if they are not a YAML mapping.

    Entries that are equal to those of the document `former`, the previous version, are the same objects.
    """
    interpolation = Interpolation(environ, str(Path(file).absolute().parent), allow_unset=allow_unset)
    if (sound := _sound(file, content, interpolation, former)) is not None:
        return Parsed(*sound, _digest(content, interpolation), interpolation.unset)
    root, problems = _checked(file, content, interpolation)
    declared = root.entries["stores"][1] if "stores" in root.entries else None
    stores = frozenset(declared.entries if isinstance(declared, MappingNode) else ())
    document = _validated(file, root, problems)
    if document is None:
        raise ManifestError(sorted(set(problems)))
    problems += [report.problem(file, root, path, message, at_key=True) for path, message in not_yet.breaches(document)]
    digest = _digest(content, interpolation)
    return Parsed(document, EntryPositions.of(root), digest, interpolation.unset, tuple(sorted(set(problems))), stores)


def _sound(
    file: str, content: bytes, interpolation: Interpolation, former: Document | None
) -> tuple[Document, EntryPositions] | None:
    """The document of a file without a fault; None if there is a fault. To save memory, the tree, which is larger than
    the document, is released first. To report a fault, the file is then read a second time."""
    root, problems = _checked(file, content, interpolation)
    if problems:
        return None
    positions, values = EntryPositions.of(root), consumed(root)
    try:
        document = Document.model_validate(values, context=SharedSections(former=_entries(former)))
    except ValidationError:
        return None
    return None if any(True for _ in not_yet.breaches(document)) else (document, positions)


def _entries(document: Document | None) -> dict[EntryKey, Section]:
    return {entry_key(entry): entry for entry in (*document.mirrors, *document.folders)} if document else {}


def _checked(file: str, content: bytes, interpolation: Interpolation) -> tuple[MappingNode, list[Problem]]:
    """The tree, and the problems that show without its values."""
    problems: list[Problem] = []
    root = _tree(file, _utf8(file, content), interpolation, problems)
    broken = [(path, message) for path, message in rules.faults(root) if _known(root, path)]
    return root, problems + [report.problem(file, root, path, message) for path, message in broken]


def daemon_of(file: str, content: bytes, environ: Mapping[str, str]) -> DaemonSection | None:
    """The `daemon:` block of a manifest. Other sections are ignored: their `${…}` are not resolved, their faults not
    found.

    For commands that search for a running daemon. None if the file has no such block. An unset value of the block is
    left out. Raises ManifestError if `state` is unset, if the block has a fault, or if the file is not YAML.
    """
    directory = str(Path(file).absolute().parent)
    root = _tree(file, _utf8(file, content), Interpolation(environ, directory, allow_unset=True, only="daemon"), [])
    root.entries = {name: pair for name, pair in root.entries.items() if name == "daemon"}
    state = report.find(root, ("daemon", "state"))
    if state.unset and isinstance(state.node, ScalarNode):
        try:
            Interpolation(environ, directory).fill(state.node.raw)
        except ValueError as error:
            raise ManifestError([report.problem(file, root, ("daemon", "state"), str(error))]) from None
    problems: list[Problem] = []
    document = _validated(file, root, problems)
    if document is None or problems:
        raise ManifestError(problems)
    return document.daemon


def _utf8(file: str, content: bytes) -> bytes:
    """The content without a byte order mark, checked to be UTF-8. The decoded text is not kept: a file may be large."""
    try:
        content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8-sig")
        column = len(before) - (before.rfind("\n") + 1)
        message = "not UTF-8 text; save it as UTF-8"
        raise ManifestError([Problem(file, before.count("\n") + 1, column + 1, "", message)]) from None
    return content.removeprefix(BOM_UTF8)


def _tree(file: str, content: bytes, interpolation: Interpolation, problems: list[Problem]) -> MappingNode:
    tree = Tree(file, interpolation)
    try:
        root = tree.read(content)
    except Unreadable as error:
        raise ManifestError(sorted({*tree.problems, error.problem})) from None
    problems += tree.problems
    if root is None or (isinstance(root, ScalarNode) and root.value is None):
        message = "the file is empty; a manifest without entries says so: mirrors: []"
        raise ManifestError([Problem(file, 1, 1, "", message)])
    if not isinstance(root, MappingNode):
        message = "a manifest is a mapping, with fields like mirrors and stores"
        raise ManifestError([*problems, Problem(file, root.line, root.column, "", message)])
    _unfold(file, root, problems)
    return root


def _unfold(file: str, root: MappingNode, problems: list[Problem]) -> None:
    """Empty sections are removed; `mirrors` written as a mapping become the list that they stand for."""
    for name in _SECTIONS:
        if name in root.entries and _nothing(root.entries[name][1]):
            del root.entries[name]
    for name in ("mirrors", "folders"):
        if name in root.entries:
            root.entries[name] = root.entries[name][0], _listed(file, name, root.entries[name][1], problems)
    key, mirrors = root.entries.get("mirrors", (None, None))
    if key is not None and isinstance(mirrors, MappingNode):
        items: list[Node] = [_mirror(file, url, value, problems) for url, value in mirrors.entries.values()]
        root.entries["mirrors"] = key, SequenceNode(items, mirrors.line, mirrors.column)


def _listed(file: str, name: str, node: Node, problems: list[Problem]) -> Node:
    """The section. If a missing dash made it the fields of one entry: a list of that entry."""
    if not isinstance(node, MappingNode) or _ENTRY_FIELDS.isdisjoint(node.entries):
        return node
    problems.append(Problem(file, node.line, node.column, name, 'an entry begins with "- "; put it before this field'))
    return SequenceNode([node], node.line, node.column)


def _nothing(node: Node) -> bool:
    return isinstance(node, ScalarNode) and node.value is None


def _mirror(file: str, url: ScalarNode, value: Node, problems: list[Problem]) -> MappingNode:
    value_of = url.value if isinstance(url.value, FaultyValue) else url.text
    source = ScalarNode(url.raw, url.text, value_of, url.line, url.column, url.unset)
    entry = MappingNode({"url": (_named("url", url), source)}, url.line, url.column, label=url.raw)
    if isinstance(value, MappingNode):
        for name, pair in value.entries.items():
            if name in ("url", "urls", "list"):
                at = pair[0]
                path = f"mirrors[{safe(url.raw)}].{name}"
                problems.append(Problem(file, at.line, at.column, path, "the source is this entry's key already"))
            else:
                entry.entries[name] = pair
    elif not _nothing(value):
        entry.entries["to"] = _named("to", url), value
    return entry


def _named(name: str, source: ScalarNode) -> ScalarNode:
    """The key that a mirror would have in a list, at the position of `source`."""
    return ScalarNode(name, name, name, source.line, source.column)


def _validated(file: str, root: MappingNode, problems: list[Problem]) -> Document | None:
    """The document without values that are unset or faulty; the faults are added to `problems`.

    Such values are removed from the tree too, and their consequences are not reported. None if nothing is left.
    """
    for _ in range(_ROUNDS):
        try:
            return Document.model_validate(plain(root), context=SharedSections())
        except ValidationError as error:
            faults = error.errors(include_url=False, include_context=False, include_input=False)
        unexcused = [one for one in faults if not _excused(root, one)]
        problems += sorted({report.refused(file, root, Document, dict(one)) for one in unexcused})
        gone: list[tuple[report.Step, ...]] = []
        for loc in sorted({one["loc"] for one in faults}, key=_last_first):
            if not any(one == loc[: len(one)] for one in gone):
                gone.append(_drop(root, loc))
    return None


def _excused(root: MappingNode, fault: Any) -> bool:
    """Whether a fault only follows from an unset value, or from one that was left out at this path or below it."""
    found = report.find(root, fault["loc"])
    if isinstance(found.node, MappingNode | SequenceNode) and found.node is not root and found.node.partial:
        return True
    return fault["type"] != "missing" and (found.unset or (found.key is not None and found.key.unset))


def _last_first(loc: tuple[report.Step, ...]) -> tuple[Any, ...]:
    return tuple((0, -step) if isinstance(step, int) else (1, step) for step in loc)


def _drop(root: MappingNode, loc: tuple[report.Step, ...]) -> tuple[report.Step, ...]:
    """Remove the node at `loc` from the tree, or its nearest parent that exists. Returns the path that was removed."""
    steps = loc
    while steps:
        parent, step = report.find(root, steps[:-1]), steps[-1]
        if not parent.missing and _taken(parent.node, step):
            for end in range(1, len(steps)):
                node = report.find(root, steps[:end]).node
                if isinstance(node, MappingNode | SequenceNode):
                    node.partial = True
            return steps
        steps = steps[:-1]
    return loc


def _taken(parent: Node, step: report.Step) -> bool:
    """Remove the child at `step`. Whether there was one."""
    if isinstance(parent, MappingNode):
        return parent.entries.pop(str(step), None) is not None
    if isinstance(parent, SequenceNode) and isinstance(step, int) and step < len(parent.items):
        _numbered(parent)
        del parent.items[step]
        return True
    return False


def _numbered(sequence: SequenceNode) -> None:
    """Entries of a list keep the index that they have in the file, for messages about them."""
    for index, item in enumerate(sequence.items):
        if isinstance(item, MappingNode) and item.label is None:
            item.label = str(index)


def _known(root: MappingNode, path: tuple[report.Step, ...]) -> bool:
    return not report.find(root, path).unset


def _digest(content: bytes, interpolation: Interpolation) -> str:
    digest = sha256(content)
    for path, text in sorted(interpolation.seen_files.items()):
        digest.update(f"\0{path}\0{text}".encode())
    return digest.hexdigest()
