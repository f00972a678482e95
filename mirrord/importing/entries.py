"""From copies and lists to the entries of a manifest, with what people must know about each as comments.

Owns which fields an entry has. `draft` checks the entries with mirrord's own loader, and names the stores.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from mirrord.importing.places import template
from mirrord.importing.shell import DYNAMIC
from mirrord.importing.values import (
    CommandLine,
    CopyOptions,
    ImportedCopy,
    ImportedList,
    ImportedStore,
    LocalPlace,
    NotCarried,
    ObjectPlace,
    WebPlace,
    Where,
)
from mirrord.manifest.schema.not_yet import row_of
from mirrord.manifest.schema.texts import Cron, TimeZone

_UNTIL_REBOOT = "@reboot"


@dataclass(slots=True)
class DraftEntry:
    """One entry. `stores`: the fields that name a store, with the store."""

    where: Where
    section: str
    fields: dict[str, Any]
    stores: dict[str, ImportedStore] = field(default_factory=dict)
    comments: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    """Those of the comments that are also remarks of the import."""


def entry_of(copy: ImportedCopy) -> DraftEntry:
    """The entry of one copy. Raises NotCarried."""
    source = copy.source
    entry = _folder(copy, source) if isinstance(source, LocalPlace) and not copy.single else _mirror(copy)
    _finish(entry, copy.options, copy.command, copy.what)
    return entry


def entry_of_list(found: ImportedList) -> DraftEntry:
    """The entry of a list of sources."""
    entry = DraftEntry(found.where, "mirrors", {"list": found.location, "to": found.to})
    if found.store is not None:
        entry.stores["store"] = found.store
    if found.command is not None:
        _schedule(entry, found.command)
    _finish(entry, found.options, found.command, found.what)
    return entry


# ── the two kinds ─────────────────────────────────────────────────────────────────────────────────
def _folder(copy: ImportedCopy, source: LocalPlace) -> DraftEntry:
    options = copy.options
    include = [source.pattern] if source.pattern else options.include
    if source.pattern and options.include:
        raise NotCarried("it has both a pattern as source and filters")
    fields: dict[str, Any] = {"path": source.path, "to": template(copy.target.address)}
    fields |= {"include": include} if include else {}
    fields |= {"exclude": options.exclude} if options.exclude else {}
    fields |= options.entry
    entry = DraftEntry(copy.command.where, "folders", fields, {"store": copy.target.store})
    if copy.command.cron:
        entry.comments.append("the folder is watched: mirrord sends changes at once and needs no schedule")
    if fields.get("delete") == "mirror":
        entry.comments.append("delete: mirror deletes the object of a file that is gone, if mirrord uploaded it itself")
    return entry


def _mirror(copy: ImportedCopy) -> DraftEntry:
    fields = {**_source(copy), "to": template(copy.target.address), **_mirror_fields(copy)}
    entry = DraftEntry(copy.command.where, "mirrors", fields, {"store": copy.target.store})
    if isinstance(copy.source, ObjectPlace):
        entry.stores["from_store"] = copy.source.store
    _schedule(entry, copy.command)
    return entry


def _source(copy: ImportedCopy) -> dict[str, Any]:
    source = copy.source
    if isinstance(source, WebPlace):
        http: dict[str, Any] = {"headers": dict(source.headers)} if source.headers else {}
        if source.basic:
            http["basic"] = {"username": source.basic[0], "password": source.basic[1]}
        return {"url": template(source.url), **({"http": http} if http else {})}
    if isinstance(source, ObjectPlace):
        return {"url": template(source.address if copy.single else source.below.address)}
    if not source.path.startswith(("/", "~/")):
        raise NotCarried("the path of its file begins with a variable: write the whole path")
    return {"url": f"file://{template(source.path)}"}


def _mirror_fields(copy: ImportedCopy) -> dict[str, Any]:
    """The fields of `options` that a mirror has."""
    options, fields = copy.options, dict(copy.options.entry)
    if fields.pop("after_upload", None):
        raise NotCarried("it moves one source: mirrord takes away only files of folders (after_upload)")
    fields.pop("follow_symlinks", None)
    if fields.pop("delete", None):
        if (row := row_of(("mirrors", "prune"))) is None:
            fields["prune"] = True
        else:
            options.remarks.append(f"objects whose source is gone stay: mirrord still lacks {row.missing} of mirrors")
    if (options.include or options.exclude) and copy.single:
        options.holds.append("it has filters for one source")
    elif options.include or options.exclude:
        fields |= {"include": options.include} if options.include else {}
        fields |= {"exclude": options.exclude} if options.exclude else {}
    return fields


def _schedule(entry: DraftEntry, command: CommandLine) -> None:
    if command.cron is None:
        return
    if command.cron == _UNTIL_REBOOT:
        entry.remarks.append("@reboot: mirrord checks each hour, and at its start what is due")
    elif not accepted(Cron, command.cron):
        entry.remarks.append("its schedule has a form that mirrord does not have: it is checked each hour")
    else:
        entry.fields["cron"] = command.cron
        if command.timezone and accepted(TimeZone, command.timezone):
            entry.fields["timezone"] = command.timezone
        else:
            entry.remarks.append("the time zone of the crontab is not known, so the times are UTC: see --timezone")


def accepted(kind: Any, text: str) -> bool:
    """Whether a type of the schema takes this text."""
    try:
        TypeAdapter(kind).validate_python(text)
    except ValidationError:
        return False
    return True


# ── what both have ────────────────────────────────────────────────────────────────────────────────
def _finish(entry: DraftEntry, options: CopyOptions, command: CommandLine | None, what: str) -> None:
    if options.object:
        entry.fields["object"] = options.object
    if options.holds:
        entry.fields["suspend"] = True
    if any(DYNAMIC in text for text in texts_of(entry.fields)):
        raise NotCarried("a shell computes a part of it: $(…), `…`, $1 or a loop")
    entry.remarks += [*(command.remarks if command else ()), *options.remarks]
    entry.remarks += [f"suspended, because {reason}" for reason in dict.fromkeys(options.holds)]
    entry.remarks = list(dict.fromkeys(entry.remarks))
    needless = f"not needed: {', '.join(dict.fromkeys(options.needless))}"
    when = f", at {command.cron}" if command is not None and command.cron else ""
    entry.comments = [
        f"{entry.where}: {what}{when}",
        *entry.comments,
        *([needless] if options.needless else []),
        *entry.remarks,
        *_variables(entry.fields),
    ]


def _variables(fields: Mapping[str, Any]) -> Iterator[str]:
    """A comment that names the variables of the entry."""
    names = {name for text in texts_of(fields) for name in re.findall(r"(?<!\$)\$\{([A-Za-z_][A-Za-z0-9_]*)\}", text)}
    if names:
        yield f"set for mirrord: {', '.join(sorted(names))}"


def texts_of(value: Any) -> Iterator[str]:
    """All texts of a tree of fields."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield name
            yield from texts_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts_of(inner)
