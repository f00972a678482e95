"""The text of a manifest with comments. Owns its layout; the YAML library writes every scalar."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import yaml

from mirrord.errors import printable
from mirrord.frozen import frozen

_WIDTH = 110
"""Longest line of a comment."""


@frozen
class CommentedPart:
    """A store, or an entry, with the comments above it."""

    value: Mapping[str, Any]
    comments: Sequence[str] = ()


@frozen
class CommentedManifest:
    """The parts of a manifest in the order of its text."""

    head: Sequence[str]
    daemon: Mapping[str, Any]
    stores: Mapping[str, CommentedPart]
    mirrors: Sequence[CommentedPart]
    folders: Sequence[CommentedPart]
    folder_comments: Sequence[str] = ()


class _Dumper(yaml.SafeDumper):
    """No anchors: each value is written where it is."""

    def ignore_aliases(self, _: Any) -> bool:
        return True


def written(manifest: CommentedManifest) -> str:
    """The text. Valid YAML for any values that are text, numbers, booleans, lists and mappings."""
    lines = [*_comments(manifest.head, ""), "version: 1"]
    if manifest.daemon:
        lines += ["", *_block({"daemon": dict(manifest.daemon)}, "")]
    if manifest.stores:
        lines += ["", "stores:"]
        for name, part in manifest.stores.items():
            lines += [*_comments(part.comments, "  "), *_block({name: part.value}, "  ")]
    lines += _entries("mirrors", manifest.mirrors)
    if manifest.folders:
        lines += _entries("folders", manifest.folders, manifest.folder_comments)
    if not manifest.mirrors and not manifest.folders:
        lines += ["", "mirrors: []"]
    return "\n".join(lines) + "\n"


def _entries(section: str, parts: Sequence[CommentedPart], comments: Sequence[str] = ()) -> Iterator[str]:
    if not parts:
        return
    yield from ("", f"{section}:", *_comments(comments, "  "))
    for number, part in enumerate(parts):
        if number:
            yield ""
        yield from _comments(part.comments, "  ")
        for at, line in enumerate(_block(part.value, "")):
            yield ("  - " if at == 0 else "    ") + line


def _block(value: Mapping[str, Any], indent: str) -> Iterator[str]:
    text = yaml.dump(dict(value), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1_000_000)
    return (indent + line for line in text.rstrip("\n").split("\n"))


def _comments(texts: Iterable[str], indent: str) -> Iterator[str]:
    for text in texts:
        yield from (f"{indent}# {line}".rstrip() for line in _wrapped(printable(text)))


def _wrapped(text: str) -> Iterator[str]:
    """The words of a comment in lines."""
    line = ""
    for word in text.split(" "):
        if line and len(line) + len(word) >= _WIDTH:
            yield line
            line = "  " + word
        else:
            line = f"{line} {word}" if line else word
    yield line
