"""Manifests together: what one file says with its positions, and what all files say with one voice.

Owns the rules across files: stores and `daemon` are shared, a store or a second `daemon` declared again is a fault of
the later file, an entry's store must exist. Each file stands for itself: a faulty one is reported and left out.
`planning.items.expand` goes on from here.
"""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from mirrord.declared import StoreOptions
from mirrord.errors import ManifestError, Problem
from mirrord.manifest import load, stores
from mirrord.manifest.positions import EntryPositions
from mirrord.manifest.schema.document import DaemonSection, Document
from mirrord.manifest.schema.entries import FolderSection, MirrorSection
from mirrord.manifest.schema.hints import suggestion
from mirrord.manifest.syntax.scalars import is_stand_in

FAULTY_STORE = "this store is declared in a file that has faults; correct those first"
_UNKNOWN = "https://unset.invalid"


@dataclass(frozen=True, slots=True)
class Manifest:
    """One valid file. `digest` covers its bytes and the files it refers to; `environ` is what it was read with."""

    file: str
    document: Document = field(repr=False)
    digest: str
    environ: Mapping[str, str] = field(repr=False, compare=False)
    positions: EntryPositions = field(repr=False, compare=False)
    incomplete: bool = False
    """Some value is unset or at fault: fit to be checked, not to be run."""
    problems: tuple[Problem, ...] = field(default=(), repr=False)
    """What is wrong with the file; `document` is then without the faulty values."""
    partial: frozenset[tuple[str, int]] = field(default=frozenset(), repr=False)
    """Entries of which a value was left out, by section and index in `document`."""
    faulty_stores: frozenset[str] = frozenset()
    """Stores that the file declares and `document` lacks."""

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
        manifest = cls.examine(file, content, environ, allow_unset=allow_unset)
        if manifest.problems:
            raise ManifestError(manifest.problems)
        return manifest

    @classmethod
    def examine(
        cls, file: str, content: bytes, environ: Mapping[str, str] | None = None, *, allow_unset: bool = False
    ) -> "Manifest":
        """What can be read of `file`, with its `problems`. Raises ManifestError if it is no mapping of YAML."""
        environ = os.environ if environ is None else environ
        parsed = load.parse(file, content, environ, allow_unset=allow_unset)
        return cls(
            file,
            parsed.document,
            parsed.digest,
            environ,
            parsed.positions,
            parsed.incomplete or bool(parsed.problems),
            parsed.problems,
            parsed.positions.partial if parsed.problems else frozenset(),
            parsed.stores - parsed.document.stores.keys(),
        )

    @property
    def directory(self) -> str:
        """What relative paths in the file are relative to."""
        return str(Path(self.file).absolute().parent)

    def problem(self, section: str, index: int, name: str, message: str) -> Problem:
        """A fault of one entry, at its field `name`, or where the entry begins."""
        number, line, column = self.positions.field(section, index, name)
        path = f"{section}[{number}]" + (f".{name}" if name else "")
        return Problem(self.file, line, column, path, message)

    def line(self, section: str, index: int) -> int:
        """The line that an entry begins in."""
        return self.positions.field(section, index, "")[1]

    def named_problem(self, path: str, message: str) -> Problem:
        """A fault of `daemon` or of one store, `stores.x`."""
        line, column = self.positions.named[path]
        return Problem(self.file, line, column, path, message)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What is in force: the valid manifests, their stores and `daemon`; and the problems of the others."""

    manifests: tuple[Manifest, ...]
    stores: Mapping[str, StoreOptions]
    daemon: DaemonSection
    problems: tuple[Problem, ...] = ()
    faulty: tuple[Manifest, ...] = ()
    """What can be read of files with problems: never in force, kept so that all their problems are found."""
    all_stores: Mapping[str, StoreOptions] = field(default_factory=dict)
    """`stores` and those of faulty files; an address that is not known stands in."""

    def store_of(self, wanted: str | None) -> StoreOptions | None:
        """The store that serves an entry which asks for `wanted`; None only if that stands in for an unset value."""
        return self.stores.get(_store_name(wanted, self.stores))


def load_all(
    files: Iterable[str],
    environ: Mapping[str, str] | None = None,
    *,
    allow_unset: bool = False,
    pipes: Collection[str] = (),
) -> Loaded:
    """Every file, read and joined; raises nothing for a faulty one. Problems are in the order of the files. Those in
    `pipes` may be pipes, or `-`."""
    environ = os.environ if environ is None else environ
    order = list(files)
    read: list[Manifest] = []
    problems: list[Problem] = []
    for file in order:
        try:
            read.append(Manifest.examine(file, load.read(file, pipe=file in pipes), environ, allow_unset=allow_unset))
        except ManifestError as error:
            problems += error.problems
    return join(read, problems, environ, order)


def join(
    manifests: Sequence[Manifest],
    problems: Sequence[Problem] = (),
    environ: Mapping[str, str] = MappingProxyType({}),
    order: Sequence[str] = (),
) -> Loaded:
    """Apply the rules across files to manifests in order; those at fault are left out, with their stores."""
    all_stores, faults = _declared(manifests, environ)
    names = {name for one in manifests for name in (*one.document.stores, *one.faulty_stores)} or set(all_stores)
    bad = {fault.file for fault in faults} | {one.file for one in manifests if one.problems}
    further = [fault for one in manifests if one.file in bad for fault in _entries(one, names)]
    found = [*problems, *(fault for one in manifests for fault in one.problems), *faults, *further]
    known, kept = all_stores, list(manifests)
    while True:
        kept = [one for one in kept if one.file not in bad]
        known, faults = _declared(kept, environ)
        faults = faults or [fault for one in kept for fault in _entries(one, names, known)]
        found += faults
        bad = {fault.file for fault in faults}
        if not bad:
            break
    daemon = next((one.document.daemon for one in kept if one.document.daemon is not None), DaemonSection())
    sound = {one.file for one in kept}
    faulty = tuple(one for one in manifests if one.file not in sound)
    return Loaded(
        tuple(kept), MappingProxyType(known), daemon, in_order(found, order), faulty, MappingProxyType(all_stores)
    )


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
                known[name] = stores.store_options(name, store, one.directory, {"AWS_ENDPOINT_URL": _UNKNOWN})
                if not one.incomplete:  # else its address may be what is not known
                    faults.append(one.named_problem(f"stores.{name}", str(error)))
    return known or {stores.DEFAULT: stores.ambient(environ)}, faults


def _entries(manifest: Manifest, names: Collection[str], known: Collection[str] | None = None) -> Iterable[Problem]:
    """Entries whose store is not `known`; `names` are those of all files, faulty ones too.

    Without `known`, of a file that is at fault already: entries that name a store which no file declares.
    """
    fallback = manifest.document.defaults.store
    sections: tuple[tuple[str, Sequence[MirrorSection | FolderSection]], ...] = (
        ("mirrors", manifest.document.mirrors),
        ("folders", manifest.document.folders),
    )
    for section, entries in sections:
        for index, entry in enumerate(entries):
            wanted = entry.store or fallback
            unknown = manifest.incomplete and is_stand_in(wanted)
            dropped = not entry.store and (section, index) in manifest.partial
            if unknown or dropped or (wanted is None and known is None):
                continue
            served = names if known is None else known
            if _store_name(wanted, served) not in served:
                said = FAULTY_STORE if wanted in names else _no_store(wanted, served)
                yield manifest.problem(section, index, "store" if entry.store else "", said)


def _store_name(wanted: str | None, known: Collection[str]) -> str:
    if wanted is not None:
        return wanted
    return next(iter(known)) if len(known) == 1 else stores.DEFAULT


def _no_store(wanted: str | None, known: Collection[str]) -> str:
    names = ", ".join(sorted(known))
    if wanted is None:
        return f"names no store, and none is called default; add store: one of {names}"
    return f"no store is called {wanted}; declared are {names}" + suggestion(wanted, list(known))
