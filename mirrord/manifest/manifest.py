"""One manifest with its positions, and all manifests merged.

Owns the rules across files: all files share stores and `daemon`; a store or `daemon` that is declared twice is a fault
of the later file; the store of an entry must exist. A faulty file is reported and left out; the other files are valid
without it. The next step is `planning.items.expand`.
"""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mirrord.declared import StoreOptions
from mirrord.errors import ManifestError, Problem
from mirrord.frozen import frozen
from mirrord.manifest import load, stores
from mirrord.manifest.positions import EntryPositions
from mirrord.manifest.schema.document import DaemonSection, Document
from mirrord.manifest.schema.entries import FolderSection, MirrorSection
from mirrord.manifest.schema.hints import suggestion
from mirrord.manifest.syntax.scalars import is_substitute
from mirrord.settings import socket_path

FAULTY_STORE = "this store is declared in a file that has faults; correct those first"
_UNKNOWN = "https://unset.invalid"


@frozen
class Manifest:
    """One valid file. `digest` covers its bytes and the files that it refers to; `environ` is the environment it was
    read in."""

    file: str
    document: Document = field(repr=False)
    digest: str
    environ: Mapping[str, str] = field(repr=False, compare=False)
    positions: EntryPositions = field(repr=False, compare=False)
    incomplete: bool = False
    """A value is unset or faulty: the manifest can be validated, not run."""
    problems: tuple[Problem, ...] = field(default=(), repr=False)
    """The faults of the file; `document` is then without the faulty values."""
    partial: frozenset[tuple[str, int]] = field(default=frozenset(), repr=False)
    """Entries of which a value was left out, by section and index in `document`."""
    faulty_stores: frozenset[str] = frozenset()
    """Stores that the file declares and `document` lacks."""

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], environ: Mapping[str, str] | None = None, *, allow_unset: bool = False
    ) -> "Manifest":
        """Read and validate one file. Raises ManifestError with all problems, each with file, line and column."""
        return cls.parse(os.fspath(path), load.read(os.fspath(path)), environ, allow_unset=allow_unset)

    @classmethod
    def parse(
        cls,
        file: str,
        content: bytes,
        environ: Mapping[str, str] | None = None,
        *,
        allow_unset: bool = False,
        former: "Manifest | None" = None,
    ) -> "Manifest":
        """As `load`, from bytes that were read from `file`. Shares memory with `former`, its previous version."""
        manifest = cls.examine(file, content, environ, allow_unset=allow_unset, former=former)
        if manifest.problems:
            raise ManifestError(manifest.problems)
        return manifest

    @classmethod
    def examine(
        cls,
        file: str,
        content: bytes,
        environ: Mapping[str, str] | None = None,
        *,
        allow_unset: bool = False,
        former: "Manifest | None" = None,
    ) -> "Manifest":
        """The readable part of `file`, with its `problems`. Raises ManifestError if the file is not a YAML mapping."""
        environ = os.environ if environ is None else environ
        document = former.document if former else None
        parsed = load.parse(file, content, environ, allow_unset=allow_unset, former=document)
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
        """The directory that relative paths in the file are relative to."""
        return str(Path(self.file).absolute().parent)

    @property
    def daemon(self) -> DaemonSection | None:
        """The `daemon:` block with absolute paths; None without one."""
        block = self.document.daemon
        if block is None:
            return block
        paths: dict[str, Any] = {}
        if block.file_roots is not None:
            paths["file_roots"] = tuple(os.path.join(self.directory, root) for root in block.file_roots)
        if path := socket_path(block.listen):
            paths["listen"] = f"unix:{os.path.join(self.directory, path)}"
        return block.model_copy(update=paths)

    def problem(self, section: str, index: int, name: str, message: str) -> Problem:
        """A fault of one entry, at its field `name` (of a group: `group.field`), or at the start of the entry."""
        number, line, column = self.positions.field(section, index, name.partition(".")[0])
        path = f"{section}[{number}]" + (f".{name}" if name else "")
        return Problem(self.file, line, column, path, message)

    def line(self, section: str, index: int) -> int:
        """The first line of an entry."""
        return self.positions.field(section, index, "")[1]

    def named_problem(self, path: str, message: str) -> Problem:
        """A fault of `daemon` or of one store, `stores.x`."""
        line, column = self.positions.named[path]
        return Problem(self.file, line, column, path, message)


@frozen
class Loaded:
    """The valid manifests with their stores and `daemon`; and the problems of the other manifests."""

    manifests: tuple[Manifest, ...]
    stores: Mapping[str, StoreOptions]
    daemon: DaemonSection
    problems: tuple[Problem, ...] = ()
    faulty: tuple[Manifest, ...] = ()
    """The readable part of files with problems. Never in force; kept to find all of their problems."""
    all_stores: Mapping[str, StoreOptions] = field(default_factory=dict)
    """`stores` and the stores of faulty files. An unknown address is replaced by `https://unset.invalid`."""

    def store_of(self, wanted: str | None) -> StoreOptions | None:
        """The store of an entry that names `wanted`, or none; None only if `wanted` replaces an unset value."""
        return self.stores.get(_store_name(wanted, self.stores))


def load_all(
    files: Iterable[str],
    environ: Mapping[str, str] | None = None,
    *,
    allow_unset: bool = False,
    pipes: Collection[str] = (),
) -> Loaded:
    """All files, read and joined. A faulty file raises no error. Problems are in the order of the files. Files in
    `pipes` may be pipes, or `-`."""
    environ = os.environ if environ is None else environ
    order = list(files)
    read: list[Manifest] = []
    problems: list[Problem] = []
    hidden = False
    for file in order:
        content = None
        try:
            content = load.read(file, pipe=file in pipes)
            read.append(Manifest.examine(file, content, environ, allow_unset=allow_unset))
        except ManifestError as error:
            problems += error.problems
            hidden = hidden or may_declare_stores(file, content)
    return join(read, problems, environ, order, hidden_stores=hidden)


def may_declare_stores(file: str, content: bytes | None) -> bool:
    """Whether an invalid file may declare stores. None: it cannot be read; a link that leads nowhere declares none."""
    return os.path.exists(file) if content is None else b"stores" in content


def join(
    manifests: Sequence[Manifest],
    problems: Sequence[Problem] = (),
    environ: Mapping[str, str] = MappingProxyType({}),
    order: Sequence[str] = (),
    *,
    hidden_stores: bool = False,
) -> Loaded:
    """Apply the rules across files to the manifests in order. Faulty ones are left out, with their stores.

    `hidden_stores`: another file, which is invalid, may declare stores. Only if no file does, the store is AWS: the
    objects of a store whose declaration has a fault must not go there.
    """
    ambient = {stores.DEFAULT: stores.ambient(environ)}
    declared, faults = _declared(manifests, environ)
    names = {name for one in manifests for name in (*one.document.stores, *one.faulty_stores)}
    otherwise = {} if names or hidden_stores else ambient
    all_stores, names = declared or ambient, names or set(ambient)
    bad = {fault.file for fault in faults} | {one.file for one in manifests if one.problems}
    further = [fault for one in manifests if one.file in bad for fault in _entries(one, names)]
    found = [*problems, *(fault for one in manifests for fault in one.problems), *faults, *further]
    known, kept = all_stores, list(manifests)
    while True:
        kept = [one for one in kept if one.file not in bad]
        known, faults = _declared(kept, environ)
        known = known or otherwise
        faults = faults or [fault for one in kept for fault in _entries(one, names, known)]
        found += faults
        bad = {fault.file for fault in faults}
        if not bad:
            break
    daemon = next((one.daemon for one in kept if one.daemon is not None), DaemonSection.model_construct())
    sound = {one.file for one in kept}
    faulty = tuple(one for one in manifests if one.file not in sound)
    return Loaded(
        tuple(kept), MappingProxyType(known), daemon, in_order(found, order), faulty, MappingProxyType(all_stores)
    )


def in_order(problems: Iterable[Problem], files: Sequence[str]) -> tuple[Problem, ...]:
    """Problems in the order of `files`, then by line and column."""
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
                known[name] = stores.without_address(name, store, one.directory, _UNKNOWN)
                if not one.incomplete:  # else the unset value may be the address
                    faults.append(one.named_problem(f"stores.{name}", str(error)))
    return known, faults


def _entries(manifest: Manifest, names: Collection[str], known: Collection[str] | None = None) -> Iterable[Problem]:
    """The problems of entries whose store is not in `known`. `names` are the stores of all files, also of faulty ones.

    Without `known`, for a file that is faulty already: only entries that name a store which no file declares.
    """
    fallback = manifest.document.defaults.store
    sections: tuple[tuple[str, Sequence[MirrorSection | FolderSection]], ...] = (
        ("mirrors", manifest.document.mirrors),
        ("folders", manifest.document.folders),
    )
    for section, entries in sections:
        for index, entry in enumerate(entries):
            wanted = entry.store or fallback
            unknown = manifest.incomplete and is_substitute(wanted)
            dropped = not entry.store and (section, index) in manifest.partial
            if unknown or dropped or (wanted is None and known is None):
                continue
            served = names if known is None else known
            if _store_name(wanted, served) not in served:
                faulty = not served or _store_name(wanted, names) in names
                message = FAULTY_STORE if faulty else _no_store(wanted, served)
                yield manifest.problem(section, index, "store" if entry.store else "", message)
    yield from _source_stores(manifest, names, names if known is None else known)


def _source_stores(manifest: Manifest, names: Collection[str], served: Collection[str]) -> Iterable[Problem]:
    """The problems of mirrors whose `from_store` is not in `served`."""
    fallback = manifest.document.defaults.from_store
    for index, entry in enumerate(manifest.document.mirrors):
        wanted = entry.from_store or fallback
        if wanted is None or wanted in served or (manifest.incomplete and is_substitute(wanted)):
            continue
        message = FAULTY_STORE if wanted in names else _no_store(wanted, served)
        yield manifest.problem("mirrors", index, "from_store" if entry.from_store else "", message)


def _store_name(wanted: str | None, known: Collection[str]) -> str:
    if wanted is not None:
        return wanted
    return next(iter(known)) if len(known) == 1 else stores.DEFAULT


def _no_store(wanted: str | None, known: Collection[str]) -> str:
    names = ", ".join(sorted(known))
    if wanted is None:
        return f"names no store, and none is called default; add store: one of {names}"
    return f"no store is called {wanted}; declared are {names}" + suggestion(wanted, list(known))
