"""Manifests together: what one file says with its positions, and what all files say with one voice.

Owns the rules across files: stores and `daemon` are shared, a store or a second `daemon` declared again is a fault of
the later file, an entry's store must exist. Each file stands for itself: a faulty one is reported and left out.
`planning.expand` goes on from here.
"""

import os
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from mirrord.declared import StoreOptions
from mirrord.errors import ManifestError, Problem
from mirrord.manifest import load, report, schema, stores
from mirrord.manifest.entries import Folder, Mirror
from mirrord.manifest.fields import suggestion
from mirrord.manifest.scalars import is_stand_in
from mirrord.manifest.tree import Mapping as MappingNode

_UNKNOWN = "https://unset.invalid"
_PLACED = ("", "url", "path", "to", "key", "name", "store", "matrix", "after_upload")
"""Fields of an entry whose places are kept for later faults; two numbers each, where a tree would take kilobytes."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """One valid file. `digest` covers its bytes and the files it refers to; `environ` is what it was read with."""

    file: str
    document: schema.Document = field(repr=False)
    digest: str
    environ: Mapping[str, str] = field(repr=False, compare=False)
    places: Mapping[str, "array[int]"] = field(repr=False, compare=False)
    named: Mapping[str, tuple[int, int]] = field(repr=False, compare=False)
    loose: bool = False
    """Read with `allow_unset`, and some value was unset: fit to be checked, not to be run."""

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], environ: Mapping[str, str] | None = None, *, allow_unset: bool = False
    ) -> "Manifest":
        """Read and validate one file. Raises ManifestError with every problem, each with file, line and column."""
        return cls.parse(os.fspath(path), load.read(os.fspath(path)), environ, allow_unset=allow_unset)

    @classmethod
    def parse(
        cls, file: str, content: bytes, environ: Mapping[str, str] | None = None, *, allow_unset: bool = False
    ) -> "Manifest":
        """Validate what was read from `file`; as `load`."""
        environ = os.environ if environ is None else environ
        parsed = load.parse(file, content, environ, allow_unset=allow_unset)
        places = {
            "mirrors": _places(parsed, "mirrors", len(parsed.document.mirrors)),
            "folders": _places(parsed, "folders", len(parsed.document.folders)),
        }
        return cls(file, parsed.document, parsed.digest, environ, places, _named(parsed.tree), parsed.loose)

    @property
    def directory(self) -> str:
        """What relative paths in the file are relative to."""
        return str(Path(self.file).absolute().parent)

    def problem(self, section: str, index: int, name: str, message: str) -> Problem:
        """A fault of one entry, at its field `name`, or where the entry begins."""
        at = 2 * (len(_PLACED) * index + _PLACED.index(name if name in _PLACED else ""))
        line, column = self.places[section][at : at + 2]
        path = f"{section}[{index}]" + (f".{name}" if name else "")
        return Problem(self.file, line, column, path, message)

    def line(self, section: str, index: int) -> int:
        """The line that an entry begins in."""
        return self.places[section][2 * len(_PLACED) * index]

    def named_problem(self, path: str, message: str) -> Problem:
        """A fault of `daemon` or of one store, `stores.x`."""
        line, column = self.named[path]
        return Problem(self.file, line, column, path, message)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What is in force: the valid manifests, their stores and `daemon`; and the problems of the others."""

    manifests: tuple[Manifest, ...]
    stores: Mapping[str, StoreOptions]
    daemon: schema.Daemon
    problems: tuple[Problem, ...] = ()

    def store_of(self, wanted: str | None) -> StoreOptions | None:
        """The store that serves an entry which asks for `wanted`; None only if that stands in for an unset value."""
        return self.stores.get(_store_name(wanted, self.stores))


def load_all(files: Iterable[str], environ: Mapping[str, str] | None = None, *, allow_unset: bool = False) -> Loaded:
    """Every file, read and joined; raises nothing for a faulty one. Problems are in the order of the files."""
    environ = os.environ if environ is None else environ
    order = list(files)
    valid: list[Manifest] = []
    problems: list[Problem] = []
    for file in order:
        try:
            valid.append(Manifest.load(file, environ, allow_unset=allow_unset))
        except ManifestError as error:
            problems += error.problems
    return join(valid, problems, environ, order)


def join(
    manifests: Sequence[Manifest],
    problems: Sequence[Problem] = (),
    environ: Mapping[str, str] = MappingProxyType({}),
    order: Sequence[str] = (),
) -> Loaded:
    """Apply the rules across files to manifests in order; those that breach one are left out, with their stores."""
    found, kept = list(problems), list(manifests)
    while True:
        known, faults = _declared(kept, environ)
        if not known:
            known = {stores.DEFAULT: stores.ambient(environ)}
        if not faults:
            faults = [fault for one in kept for fault in _entries(one, known)]
        if not faults:
            break
        found += faults
        bad = {fault.file for fault in faults}
        kept = [one for one in kept if one.file not in bad]
    daemon = next((one.document.daemon for one in kept if one.document.daemon is not None), schema.Daemon())
    return Loaded(tuple(kept), MappingProxyType(known), daemon, in_order(found, order))


def in_order(problems: Iterable[Problem], files: Sequence[str]) -> tuple[Problem, ...]:
    """Problems in the order of the files that were asked for, then by line and column."""
    rank = {file: index for index, file in enumerate(files)}
    return tuple(sorted(problems, key=lambda one: (rank.get(one.file, len(rank)), one)))


def _declared(
    manifests: Sequence[Manifest], environ: Mapping[str, str]
) -> tuple[dict[str, StoreOptions], list[Problem]]:
    known: dict[str, StoreOptions] = {}
    owners: dict[str, str] = {}
    faults: list[Problem] = []
    for one in manifests:
        claims = [
            *(["daemon"] if one.document.daemon is not None else []),
            *(f"stores.{x}" for x in one.document.stores),
        ]
        for claim in claims:
            first = owners.setdefault(claim, one.file)
            if first != one.file:
                faults.append(one.named_problem(claim, f"is declared in {first} already; all files share it"))
        for name, store in one.document.stores.items():
            try:
                known.setdefault(name, stores.store_options(name, store, one.directory, environ))
            except ValueError as error:
                if one.loose:  # its address may be what is not known
                    known[name] = stores.store_options(name, store, one.directory, {"AWS_ENDPOINT_URL": _UNKNOWN})
                    continue
                faults.append(one.named_problem(f"stores.{name}", str(error)))
    return known, faults


def _entries(manifest: Manifest, known: Mapping[str, StoreOptions]) -> Iterable[Problem]:
    fallback = manifest.document.defaults.store
    sections: tuple[tuple[str, Sequence[Mirror | Folder]], ...] = (
        ("mirrors", manifest.document.mirrors),
        ("folders", manifest.document.folders),
    )
    for section, entries in sections:
        for index, entry in enumerate(entries):
            wanted = entry.store or fallback
            if manifest.loose and is_stand_in(wanted):
                continue
            if _store_name(wanted, known) not in known:
                said = _no_store(wanted, known)
                yield manifest.problem(section, index, "store" if entry.store else "", said)


def _store_name(wanted: str | None, known: Mapping[str, StoreOptions]) -> str:
    if wanted is not None:
        return wanted
    return next(iter(known)) if len(known) == 1 else stores.DEFAULT


def _no_store(wanted: str | None, known: Mapping[str, StoreOptions]) -> str:
    names = ", ".join(sorted(known))
    if wanted is None:
        return f"names no store, and none is called default; add store: one of {names}"
    return f"no store is called {wanted}; declared are {names}" + suggestion(wanted, list(known))


def _places(parsed: load.Parsed, section: str, count: int) -> "array[int]":
    places = array("I")
    for index in range(count):
        entry = report.find(parsed.tree, (section, index)).node
        for name in _PLACED:
            found = entry.entries.get(name) if name and isinstance(entry, MappingNode) else None
            node = found[1] if found else entry
            places.extend((node.line, node.column))
    return places


def _named(tree: MappingNode) -> dict[str, tuple[int, int]]:
    keys = {"daemon": tree.entries["daemon"][0]} if "daemon" in tree.entries else {}
    declared = tree.entries["stores"][1] if "stores" in tree.entries else None
    if isinstance(declared, MappingNode):
        keys |= {f"stores.{name}": key for name, (key, _) in declared.entries.items()}
    return {path: (key.line, key.column) for path, key in keys.items()}
