"""From inputs to the text of one manifest that mirrord's own loader accepts, and the remarks.

Owns the names of stores and entries, the `daemon` block, and the check. An entry that the loader refuses (a bucket's
name that S3 does not take, an object that another entry has) is left out and named, so that the rest can be used.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from mirrord.errors import ManifestError, Problem
from mirrord.frozen import frozen
from mirrord.importing.aws import AwsReader
from mirrord.importing.bandwidth import LOCAL_TIMES, bandwidth_of
from mirrord.importing.entries import DraftEntry, entry_of, entry_of_list
from mirrord.importing.inputs import FoundInputs, InputText, found_in
from mirrord.importing.rclone import RcloneReader
from mirrord.importing.remotes import HELD_OPTIONS, Remotes, store_of_remote, unknown_options
from mirrord.importing.s5cmd import S5cmdReader
from mirrord.importing.values import (
    CommandLine,
    ImportedCopy,
    ImportedList,
    ImportedStore,
    ImportRefused,
    Machine,
    NotCarried,
    Remark,
    WebPlace,
    Where,
    variable_for,
)
from mirrord.importing.wrappers import program_of
from mirrord.importing.writing import CommentedManifest, CommentedPart, written
from mirrord.manifest.manifest import Manifest, join
from mirrord.planning.items.expand import Overlap, expand, problems

_FILE = "import.yaml"
"""The name of the manifest while it is checked."""
_TEMPORARY = 'files with names like .*, *~, *.part, *.tmp and *.swp are left out; to send them: exclude: ["!.*", …]'


@frozen
class ImportResult:
    """The manifest, and all that it lacks of the inputs. `entries`: the number of its entries."""

    text: str
    entries: int
    stores: int
    remarks: tuple[Remark, ...]


def imported(inputs: Sequence[InputText], machine: Machine, to: str | None = None) -> ImportResult:
    """The manifest of all inputs together. Raises ImportRefused."""
    found = found_in(inputs, machine, to)
    draft = _Draft(machine.overlap, machine.timezone, remarks=list(found.remarks))
    draft.read(found, machine)
    return draft.checked(found.remotes if found.alone else Remotes())


class _Reader(Protocol):
    """Reads the command lines of one tool."""

    def read(self, command: CommandLine) -> ImportedCopy | ImportedList:
        """The copy of one command. Raises NotCarried."""


@dataclass(slots=True)
class _Draft:
    overlap: Overlap
    timezone: str | None
    entries: list[DraftEntry] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    limits: dict[str, list[tuple[Where, str]]] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    """The value that each variable stands for."""

    # ── reading ───────────────────────────────────────────────────────────────────────────────────
    def read(self, found: FoundInputs, machine: Machine) -> None:
        """The entries of all commands and lists."""
        rclone, s5cmd = RcloneReader(found.remotes, machine), S5cmdReader(machine)
        readers: dict[str, _Reader] = {"rclone": rclone, "aws": AwsReader(machine)}
        for command in found.commands:
            reader = readers.get(program_of(command.words[0]), s5cmd)
            try:
                self._add(reader.read(command))
            except NotCarried as error:
                self.remarks.append(Remark(command.where, f"{_program(command)}: not carried over: {error}"))
        self.entries += [entry_of_list(listed) for listed in found.lists]
        self.remarks += _unused(found.remotes, rclone.used, alone=found.alone)
        self._complete_stores(found.remotes)

    def _complete_stores(self, remotes: Remotes) -> None:
        """A list has the store that its bucket is in, or the only one, else AWS. A store at an endpoint of an
        rclone.conf has the provider of that."""
        declared = [store_of_remote(one) for one in remotes.known.values() if one.type == "s3"]
        used = {_essence(store): store for entry in self.entries for store in entry.stores.values()}
        known = list(used.values()) or declared
        buckets = {_bucket(entry): entry.stores["store"] for entry in reversed(self.entries) if "store" in entry.stores}
        for entry in self.entries:
            if "store" not in entry.stores:
                guess = known[0] if len(known) == 1 else ImportedStore("aws")
                entry.stores["store"] = buckets.get(_bucket(entry), guess)
                entry.comments += ["change `store` if its bucket is in another one"] * (len(known) > 1)
        providers = {dict(store.fields).get("endpoint_url"): store.provider for store in declared}
        for entry in self.entries:
            for name, store in entry.stores.items():
                provider = providers.get(dict(store.fields).get("endpoint_url"), store.provider)
                entry.stores[name] = store if provider == store.provider else replace(store, provider=provider)

    def _add(self, read: ImportedCopy | ImportedList) -> None:
        entry = entry_of(self._with_own_variables(read)) if isinstance(read, ImportedCopy) else entry_of_list(read)
        self.entries.append(entry)
        for name, value in read.options.daemon.items():
            self.limits.setdefault(name, []).append((entry.where, value))

    def _with_own_variables(self, copy: ImportedCopy) -> ImportedCopy:
        """One variable stands for one value: another password for the same host has another name."""
        source = copy.source
        if not isinstance(source, WebPlace):
            return copy
        names = {name: variable_for(value, name, self.secrets) for name, value in source.secrets}
        return replace(copy, source=source.renamed(names))

    # ── checking ──────────────────────────────────────────────────────────────────────────────────
    def checked(self, remotes: Remotes) -> ImportResult:
        """The result, without the entries that the loader refuses."""
        daemon, head = self._daemon()
        for _ in range(len(self.entries) + 2):
            manifest, stores = self._manifest(remotes, daemon, head)
            text = written(manifest)
            faults = _problems(text, self.overlap)
            if not faults:
                remarks = [*self.remarks, *(Remark(one.where, text) for one in self.entries for text in one.remarks)]
                return ImportResult(text, len(self.entries), len(stores), tuple(_in_order(remarks)))
            if not self._drop(faults, stores, remotes):
                break
        raise ImportRefused(f"internal error: the manifest that was made is not valid ({_shown(faults[0])}); report it")

    def _drop(self, faults: Sequence[Problem], stores: Mapping[str, ImportedStore], remotes: Remotes) -> bool:
        """Leave out what the faults are about. False if they are about nothing of the input."""
        gone: dict[int, str] = {}
        for fault in faults:
            for entry in self._entries_of(fault, stores):
                gone.setdefault(id(entry), _shown(fault))
        bad = {_essence(store) for fault in faults if (store := _store_of(fault, stores)) is not None}
        lost = [one for one in remotes.known.values() if one.type == "s3" and _essence(store_of_remote(one)) in bad]
        for remote in lost:
            remotes.known.pop(remote.name)
            if remote.where is not None:
                self.remarks.append(Remark(remote.where, "its store cannot be used"))
        for entry in [one for one in self.entries if id(one) in gone]:
            self.remarks.append(Remark(entry.where, f"not carried over: {gone[id(entry)]}"))
            self.entries.remove(entry)
        return bool(gone or lost)

    def _entries_of(self, fault: Problem, stores: Mapping[str, ImportedStore]) -> list[DraftEntry]:
        """The entry that a fault is about; of a store, all that use it."""
        if match := re.match(r"(mirrors|folders)\[(\d+)\]", fault.path):
            return [[one for one in self.entries if one.section == match[1]][int(match[2])]]
        store = _store_of(fault, stores)
        if store is None:
            return []
        return [one for one in self.entries if _essence(store) in map(_essence, one.stores.values())]

    # ── the manifest ──────────────────────────────────────────────────────────────────────────────
    def _manifest(
        self, remotes: Remotes, daemon: dict[str, Any], head: Sequence[str]
    ) -> tuple[CommentedManifest, dict[str, ImportedStore]]:
        used = [store for entry in self.entries for store in entry.stores.values()]
        stores = _named([*used, *(store_of_remote(one) for one in remotes.known.values() if one.type == "s3")])
        names = {_essence(store): name for name, store in stores.items()}
        taken: set[str] = set()
        parts: dict[str, list[CommentedPart]] = {"mirrors": [], "folders": []}
        for entry in self.entries:
            parts[entry.section].append(CommentedPart(_fields(entry, names, taken), entry.comments))
        lost = [f"  {remark}" for remark in _in_order(self.remarks)]
        return CommentedManifest(
            head=[*head, *(["", "Not carried over:", *lost] if lost else [])],
            daemon=daemon,
            stores={name: CommentedPart(_store_fields(store), store.comments) for name, store in stores.items()},
            mirrors=parts["mirrors"],
            folders=parts["folders"],
            folder_comments=[_TEMPORARY],
        ), stores

    def _daemon(self) -> tuple[dict[str, Any], list[str]]:
        """The limits that the commands ask for, as settings of the whole daemon."""
        found: dict[str, Any] = {}
        head = ["Made by `mirrord import`. Check it with `mirrord plan`, then use it with `mirrord run`."]
        counts = [int(value) for _, value in self.limits.get("transfers", []) if value.isascii() and value.isdigit()]
        if counts and 1 <= max(counts) <= 1024:
            found["transfers"] = max(counts)
        rates = self.limits.get("bwlimit", [])
        wanted = {value: bandwidth_of(value) for _, value in rates}
        for where, value in rates:
            if wanted[value] is None:
                self.remarks.append(Remark(where, "--bwlimit has a form that daemon.bandwidth does not have"))
            elif len(wanted) > 1:
                self.remarks.append(Remark(where, "--bwlimit: commands have different ones, mirrord has one limit"))
            elif not isinstance(rate := wanted[value], dict):
                found["bandwidth"] = rate
            elif self.timezone:
                found["bandwidth"] = {**rate, "timezone": self.timezone}
            else:
                found["bandwidth"] = rate
                self.remarks.append(Remark(where, LOCAL_TIMES))
        return found, head


def _bucket(entry: DraftEntry) -> str:
    return str(entry.fields["to"]).removeprefix("s3://").partition("/")[0]


def _store_of(fault: Problem, stores: Mapping[str, ImportedStore]) -> ImportedStore | None:
    """The store that a fault is about."""
    names = [name for name in stores if f"{fault.path}.".startswith(f"stores.{name}.")]
    return stores[max(names, key=len)] if names else None


def _unused(remotes: Remotes, used: Collection[str], *, alone: bool) -> Iterator[Remark]:
    """The remotes of an rclone.conf that no command uses. `alone`: there is no command, and each becomes a store."""
    for remote in remotes.known.values():
        if remote.where is None or remote.name in used:
            continue
        if alone and remote.type == "s3":
            for name in sorted(set(unknown_options(remote)) & HELD_OPTIONS.keys()):
                yield Remark(remote.where, f"the option {name} is not carried over: the remote {HELD_OPTIONS[name]}")
            continue
        usable = remote.type in ("s3", "alias", "http", "local")
        yield Remark(remote.where, "no command of the import uses this remote" if usable else remote.refusal)


def _essence(store: ImportedStore) -> tuple[Any, ...]:
    """What makes two stores the same, whatever their names."""
    return store.provider, store.fields, store.credentials


def _named(stores: Sequence[ImportedStore]) -> dict[str, ImportedStore]:
    """Different stores under different names."""
    names: dict[tuple[Any, ...], str] = {}
    found: dict[str, ImportedStore] = {}
    for store in stores:
        if _essence(store) in names:
            continue
        name, number = store.name, 2
        while name in found:
            name, number = f"{store.name[:58]}-{number}", number + 1
        names[_essence(store)] = name
        found[name] = store
    return found


def _store_fields(store: ImportedStore) -> dict[str, Any]:
    fields: dict[str, Any] = {"provider": store.provider, **dict(store.fields)}
    return {**fields, "credentials": dict(store.credentials)} if store.credentials else fields


def _fields(entry: DraftEntry, names: dict[tuple[Any, ...], str], taken: set[str]) -> dict[str, Any]:
    """The fields of an entry, with its stores, and a name if its own one is taken."""
    fields = dict(entry.fields)
    default = fields["path"] if entry.section == "folders" else fields["to"]
    name, number = default, 2
    while name in taken:
        name, number = f"{default} ({number})", number + 1
    taken.add(name)
    head: dict[str, Any] = {key: fields.pop(key) for key in ("url", "list", "path", "to") if key in fields}
    chosen = {
        field: names[_essence(store)] for field, store in entry.stores.items() if len(names) > 1 or field != "store"
    }
    return {**head, **({"name": name} if name != default else {}), **chosen, **fields}


def _problems(text: str, overlap: Overlap) -> tuple[Problem, ...]:
    """All problems of the manifest, by mirrord's own loader. Variables need no value."""
    try:
        manifest = Manifest.examine(_FILE, text.encode(), {}, allow_unset=True)
    except ManifestError as error:
        return error.problems
    loaded = join([manifest], (), {}, [_FILE])
    return problems(loaded, expand(loaded, overlap), [_FILE], overlap)


def _shown(fault: Problem) -> str:
    """The message of a fault without the values of the input."""
    name = re.sub(r"^(?:mirrors|folders)\[\d+\]\.?", "", fault.path)
    if "is also the object of" in fault.message:
        return "another entry has its object already: one object, one item"
    if "takes files away (after_upload)" in fault.message:
        return "its folder and that of another entry overlap, and one of them takes files away: give each an include"
    if lacks := re.search(r"mirrord still lacks [^;]+", fault.message):
        return lacks[0]
    message = re.sub(r"(['\"`]).*\1", "the value", fault.message)
    if fault.path.startswith("stores."):
        return f"its store cannot be used: {fault.path.rpartition('.')[2]}: {message}"
    return f"{name}: {message}" if re.fullmatch(r"[a-z_.]{1,60}", name) else message


def _in_order(remarks: Sequence[Remark]) -> Iterator[Remark]:
    order = {name: at for at, name in enumerate(dict.fromkeys(one.where.file for one in remarks))}
    return iter(sorted(dict.fromkeys(remarks), key=lambda one: (order[one.where.file], one.where.line)))


def _program(command: CommandLine) -> str:
    name = program_of(command.words[0])
    return name if name in ("rclone", "aws") else "s5cmd"
