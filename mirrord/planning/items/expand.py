"""From manifests to items: the object of each source, and the folders and lists to read. Pure.

Owns names of entries and collisions; `objects` decides the object of each source. If one entry of a file makes no valid
item, the whole file is refused; other files are not affected. If two files collide, the later one is refused. The
stores of a refused file stay declared, because they are valid. `planning.items.bind` makes the items of files in
folders.
"""

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from mirrord.declared import FileSelection, FolderSpec, FolderTarget, ListSpec, StoreOptions, WatchTimes
from mirrord.errors import Problem
from mirrord.frozen import frozen
from mirrord.manifest.manifest import Loaded, Manifest, in_order, load_all
from mirrord.manifest.schema.entries import FolderSection, MirrorSection, PruneSection
from mirrord.model import DeleteFile, Destination, FileAction, Item, KeepFile, MoveFile
from mirrord.planning.decisions.file_removal import move_fault
from mirrord.planning.items.objects import (
    EntryContext,
    EntryFault,
    bindings,
    bucket_and_key,
    check_storage_class,
    customer_key_of,
    default_name,
    folder_key,
    is_prefix,
    list_spec,
    prefix_spec,
)
from mirrord.planning.items.options import OptionsOf
from mirrord.providers import profile

Overlap = Callable[[FolderSpec, FolderSpec], str | None]
"""The reason why two folders cannot both exist, from the directories of the machine; None if they can."""


@frozen
class Expanded:
    """The items, folders and lists of one file, or its problems."""

    manifest: Manifest
    items: tuple[Item, ...] = ()
    folders: tuple[FolderSpec, ...] = ()
    lists: tuple[ListSpec, ...] = ()
    problems: tuple[Problem, ...] = ()
    prunes: Mapping[str, float | None] = field(default_factory=dict)
    """The entries with `prune`, by name: the share of their objects that one pass may delete; None: the guard's own."""


@frozen
class Expansion:
    """All desired items, folders and lists, by manifest. A faulty manifest has only problems."""

    files: tuple[Expanded, ...]

    @property
    def items(self) -> tuple[Item, ...]:
        return tuple(item for one in self.files for item in one.items)

    @property
    def folders(self) -> tuple[FolderSpec, ...]:
        return tuple(folder for one in self.files for folder in one.folders)

    @property
    def lists(self) -> tuple[ListSpec, ...]:
        return tuple(spec for one in self.files for spec in one.lists)

    @property
    def problems(self) -> tuple[Problem, ...]:
        return tuple(problem for one in self.files for problem in one.problems)


def no_overlap(one: FolderSpec, other: FolderSpec) -> None:
    """An `Overlap` without access to the machine's directories: no folders overlap."""


def expand(
    loaded: Loaded, overlap: Overlap = no_overlap, known: Mapping[str, Item] = MappingProxyType({})
) -> Expansion:
    """The items and folders of all manifests, in order. An item that equals the one of its id in `known` is that same
    object, so that a reload of many items does not need memory for a second copy."""
    claims = _Claims(known=known)
    return Expansion(tuple(_File(manifest, loaded, claims, overlap).expanded() for manifest in loaded.manifests))


def validate(
    files: Sequence[str],
    environ: Mapping[str, str] | None = None,
    *,
    allow_unset: bool = False,
    overlap: Overlap = no_overlap,
    pipes: Collection[str] = (),
) -> tuple[Problem, ...]:
    """All problems that can be found offline, in the order of the files; empty if there are none. `pipes`: see
    `load_all`."""
    loaded = load_all(files, environ, allow_unset=allow_unset, pipes=pipes)
    return problems(loaded, expand(loaded, overlap), files, overlap)


def problems(
    loaded: Loaded, expansion: Expansion, files: Sequence[str], overlap: Overlap = no_overlap
) -> tuple[Problem, ...]:
    """All problems of the loaded and expanded manifests, including further problems of files that are already
    faulty."""
    claims = _Claims()
    for share in expansion.files:
        file = share.manifest.file
        claims.objects.update({item.id: file for item in share.items})
        claims.entries.update({item.entry: file for item in share.items})
        claims.entries.update({folder.entry: file for folder in share.folders})
        claims.entries.update({one.entry: file for one in share.lists})
        claims.folders += [(folder, file) for folder in share.folders]
    lenient = replace(loaded, stores=loaded.all_stores)
    further = [problem for one in loaded.faulty for problem in _File(one, lenient, claims, overlap).expanded().problems]
    return in_order({*loaded.problems, *expansion.problems, *further}, files)


def share_of(prune: PruneSection | None) -> float | None:
    """The share that `prune: {max: …}` names, from 0 to 1."""
    return None if prune is None or prune.max is None else prune.max / 100


def _same_text(text: str, known: str) -> str:
    """`text`; the object `known` if it is equal: a manifest of very many entries needs the memory once."""
    return known if text == known else text


# ── one file ──────────────────────────────────────────────────────────────────────────────────────
@dataclass(slots=True)
class _Claims:
    """Used names: objects by item id, entries by name, folders; each with the position of its user for messages."""

    objects: dict[str, str] = field(default_factory=dict)
    entries: dict[str, str] = field(default_factory=dict)
    folders: list[tuple[FolderSpec, str]] = field(default_factory=list)
    known: Mapping[str, Item] = field(default_factory=dict)
    """Items of the former manifests, by id."""


class _File:
    """Expands one manifest. Its claims bind later files only if the manifest has no fault."""

    def __init__(self, manifest: Manifest, loaded: Loaded, others: _Claims, overlap: Overlap) -> None:
        self._manifest = manifest
        self._loaded = loaded
        self._others = others
        self._overlap = overlap
        self._own = _Claims()
        self._options = OptionsOf(manifest.document.defaults, manifest.directory)
        self._items: list[Item] = []
        self._folders: list[FolderSpec] = []
        self._lists: list[ListSpec] = []
        self._prunes: dict[str, float | None] = {}

    def expanded(self) -> Expanded:
        document = self._manifest.document
        problems = [*self._each("mirrors", document.mirrors), *self._each("folders", document.folders)]
        if problems:
            return Expanded(self._manifest, problems=tuple(problems))
        self._others.objects.update(self._own.objects)
        self._others.entries.update(self._own.entries)
        self._others.folders.extend(self._own.folders)
        return Expanded(
            self._manifest, tuple(self._items), tuple(self._folders), tuple(self._lists), prunes=self._prunes
        )

    def _each(self, section: str, entries: Sequence[MirrorSection | FolderSection]) -> Iterator[Problem]:
        for index, entry in enumerate(entries):
            store = self._loaded.store_of(self._options.setting(entry, "store"))
            if store is None:
                continue  # the store is unknown
            if (section, index) in self._manifest.partial:
                # a fault of its values is already reported; its consequences are not
                yield from self._bucket(section, index, entry.to)
                continue
            source_store = self._source_store(entry, store)
            if source_store is None:
                continue  # unknown, too
            provider, options = profile(store.provider), self._options(entry)
            try:
                options = self._options.keyed(options, self._customer_key(entry, store))
                context = EntryContext(self._manifest, section, index, store, provider, options, source_store)
                check_storage_class(context)
                if isinstance(entry, MirrorSection):
                    self._mirror(context, entry)
                else:
                    self._folder(context, entry)
            except EntryFault as fault:
                yield self._manifest.problem(section, index, fault.name, str(fault))

    def _customer_key(self, entry: MirrorSection | FolderSection, store: StoreOptions) -> str | None:
        """See `customer_key_of`. A key that is missing because its value is faulty is reported there."""
        encryption = self._options.setting(entry, "object").encryption
        if encryption is None or encryption.customer_key is None:
            return None
        faulty = f"stores.{store.name}.customer_keys.{encryption.customer_key}"
        if any(problem.path == faulty for problem in self._manifest.problems):
            return None
        return customer_key_of(encryption.customer_key, store)

    def _source_store(self, entry: MirrorSection | FolderSection, store: StoreOptions) -> StoreOptions | None:
        """See `EntryContext.source_store`. None: no store has that name."""
        wanted = self._options.setting(entry, "from_store") if isinstance(entry, MirrorSection) else None
        if wanted is None:
            return store
        found = self._loaded.store_of(wanted)
        return store if found is not None and found.same_access(store) else found

    def _bucket(self, section: str, index: int, to: str) -> Iterator[Problem]:
        """The fault of a bucket's name that does not depend on other values of the entry."""
        if "{" in to.removeprefix("s3://").partition("/")[0]:
            return
        try:
            bucket_and_key(to)
        except EntryFault as fault:
            yield self._manifest.problem(section, index, fault.name, str(fault))

    def _mirror(self, context: EntryContext, mirror: MirrorSection) -> None:
        if mirror.list is not None:
            self._lists.append(list_spec(context, mirror, self._options.setting(mirror, "matrix")))
            self._name(context, self._lists[-1].entry)
            self._prune(mirror, self._lists[-1].entry)
        if is_prefix(mirror):
            self._prefix(context, mirror)
            return
        first = mirror.url or next(iter(mirror.urls or ()), None)
        if first is None:
            return  # a list, `allow_unset`, or a form of source that NOT_YET refuses
        name, at = mirror.name, len(self._items)
        if name is None and self._options.setting(mirror, "matrix"):
            name = default_name(mirror.to, first)
        for origins, destination in bindings(context, mirror, self._options.setting(mirror, "matrix")):
            item_id = destination.item_id
            entry = name or _same_text(str(destination), mirror.to)
            self._claim(context, item_id, destination, entry)
            item = Item(
                id=item_id,
                entry=entry,
                origin=origins[0],
                destination=destination,
                options=context.options,
                urls=origins if len(origins) > 1 else (),
            )
            known = self._others.known.get(item_id)
            self._items.append(item if known is None or known != item else known)
        if len(self._items) > at:
            self._name(context, self._items[at].entry)
            self._prune(mirror, self._items[at].entry)

    def _prune(self, entry: MirrorSection, name: str) -> None:
        prune = self._prune_of(entry)
        if prune is not None:
            self._prunes[name] = share_of(prune)

    def _prune_of(self, entry: MirrorSection | FolderSection) -> PruneSection | None:
        """Not joined with that of `defaults`: `true` means the guard's own share."""
        return entry.prune if "prune" in entry.model_fields_set else self._manifest.document.defaults.prune

    def _prefix(self, context: EntryContext, mirror: MirrorSection) -> None:
        patterns = FileSelection(
            include=self._options.setting(mirror, "include"), exclude=self._options.setting(mirror, "exclude")
        )
        self._lists.append(prefix_spec(context, mirror, self._options.setting(mirror, "matrix"), patterns))
        self._name(context, self._lists[-1].entry)
        self._prune(mirror, self._lists[-1].entry)

    def _folder(self, context: EntryContext, folder: FolderSection) -> None:
        watch, follow = self._options.setting(folder, "watch"), self._options.setting(folder, "follow_symlinks")
        spec = FolderSpec(
            entry=folder.name or folder.path,
            path=os.path.normpath(os.path.join(self._manifest.directory, folder.path)),
            target=self._target(context, folder),
            selection=FileSelection(
                include=self._options.setting(folder, "include"),
                exclude=self._options.setting(folder, "exclude"),
                ready=self._options.setting(folder, "ready"),
                follow_symlinks=follow,
            ),
            times=WatchTimes(
                watch="poll" if follow and watch == "auto" else watch,  # there are no events for changes behind a link
                settle=self._options.setting(folder, "settle"),
                poll_interval=self._options.setting(folder, "poll_interval"),
                rescan=self._options.setting(folder, "rescan"),
            ),
            delete=self._options.setting(folder, "delete"),
            after_upload=self._after(context, folder),
            prune_most=share_of(self._prune_of(folder)),
            options=context.options,
        )
        self._name(context, spec.entry)
        self._refuse_overlap(context, spec)
        self._folders.append(spec)

    def _target(self, context: EntryContext, folder: FolderSection) -> FolderTarget:
        return FolderTarget(
            store=context.store.name,
            endpoint=context.store.endpoint,
            provider=context.store.provider,
            bucket=bucket_and_key(folder.to)[0],
            key=folder_key(folder.to, self._options.setting(folder, "key")),
        )

    def _refuse_overlap(self, context: EntryContext, spec: FolderSpec) -> None:
        """One folder may delete or move a file that another folder has not copied yet."""
        for other, where in (*self._others.folders, *self._own.folders):
            if fault := self._overlap(spec, other):
                removing = " and ".join(one.entry for one in (other, spec) if one.removes_files)
                raise EntryFault(
                    "path",
                    f"{removing} takes files away (after_upload) that the folder {other.entry} ({where}) and this one "
                    f"both need; {fault}",
                )
        self._own.folders.append((spec, context.where))

    def _after(self, context: EntryContext, folder: FolderSection) -> FileAction:
        own = "after_upload" in folder.model_fields_set
        after = folder.after_upload if own else self._options.setting(folder, "after_upload")
        if after is None:
            return KeepFile()
        if self._options.setting(folder, "delete") == "mirror":
            what = "deleted" if after.move is None else "moved away"
            raise EntryFault(
                "after_upload",
                f"a file that is {what} after its upload is gone, and delete: mirror deletes the objects of files that "
                "are gone; remove one of the two",
            )
        if after.move is None:
            return DeleteFile()
        root = os.path.normpath(os.path.join(context.manifest.directory, folder.path))
        move = os.path.normpath(os.path.join(context.manifest.directory, after.move))
        if fault := move_fault(root, move, self._options.setting(folder, "exclude")):
            raise EntryFault("after_upload", fault)
        return MoveFile(move)

    def _claim(self, context: EntryContext, item_id: str, destination: Destination, entry: str) -> None:
        first = self._others.objects.get(item_id) or self._own.objects.get(item_id)
        if first is not None:
            raise EntryFault("to", f"{destination} of {entry} is also the object of {first}; one object, one item")
        self._own.objects[item_id] = f"{entry} ({context.where})"

    def _name(self, context: EntryContext, name: str) -> None:
        first = self._others.entries.get(name) or self._own.entries.get(name)
        if first is not None:
            raise EntryFault("name", f"an entry is called {name} already ({first}); give this one another name")
        self._own.entries[name] = context.where
