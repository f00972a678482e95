"""The entries in force as the rules of leaving items need them. Pure.

Owns which objects an entry may have that is not known wholly: those below the fixed part of its keys.
"""

from collections.abc import Callable, Collection, Container, Iterator, Mapping

from mirrord.declared import FolderSpec, ListSpec
from mirrord.planning.decisions.leaving import EntryInForce, LoadedEntries
from mirrord.planning.items.expand import Expanded, Expansion, share_of
from mirrord.planning.items.keys import normalised
from mirrord.planning.items.templates import template
from mirrord.providers import profile

ManifestIdentity = Callable[[str], str | None]
"""The identity of a manifest file, see `manifest.identity`."""


def files_with_entries(expansion: Expansion) -> Iterator[str]:
    """The files that are valid and not empty: an empty one may have lost its entries by accident."""
    return (one.manifest.file for one in expansion.files if one.items or one.lists or one.folders)


def entries_in_force(
    expansion: Expansion,
    *,
    files: Container[str],
    identity: ManifestIdentity,
    stores: Mapping[str, str],
    incomplete: Collection[str],
    invalid: tuple[str, ...] | None,
) -> LoadedEntries:
    """`files`, `stores`, `invalid`: as in `LoadedEntries`. `incomplete`: the entries of lists that were not read
    completely."""
    unknown = [(spec.endpoint, _list_start(spec)) for spec in expansion.lists if _is_unknown(spec, incomplete)]
    unknown += [(spec.target.endpoint, _folder_start(spec)) for spec in expansion.folders]
    entries = {name: one for share in expansion.files for name, one in _entries(share, identity, incomplete)}
    most = {identity(one.manifest.file): share_of(one.manifest.document.defaults.prune) for one in expansion.files}
    most_of = {file: share for file, share in most.items() if file is not None}
    return LoadedEntries(
        files=files, entries=entries, stores=stores, unknown=tuple(unknown), invalid=invalid, most_of=most_of
    )


def _entries(
    share: Expanded, identity: ManifestIdentity, incomplete: Collection[str]
) -> Iterator[tuple[str, EntryInForce]]:
    file = identity(share.manifest.file) if share.prunes else None
    made: dict[tuple[bool, float | None, bool, float | None], EntryInForce] = {}
    last = ""
    for item in share.items:
        if item.entry != last:
            last = item.entry
            options = item.options
            key = (last in share.prunes, share.prunes.get(last), options.suspend, options.schedule.every)
            yield last, made.setdefault(key, EntryInForce(file, *key))
    for spec in share.lists:
        complete = not _is_unknown(spec, incomplete)
        prunes, most = spec.entry in share.prunes, share.prunes.get(spec.entry)
        options, listing = spec.options, spec if spec.prefix is not None else None
        yield spec.entry, EntryInForce(file, prunes, most, options.suspend, options.schedule.every, complete, listing)


def _is_unknown(spec: ListSpec, incomplete: Collection[str]) -> bool:
    return spec.options.suspend or spec.entry in incomplete


def _list_start(spec: ListSpec) -> str:
    """The start of the addresses of its objects."""
    first = template(spec.to).pieces[0]
    fixed = first if isinstance(first, str) else ""
    bucket, slash, key = fixed.removeprefix("s3://").partition("/")
    return f"s3://{bucket}/{normalised(key, profile(spec.provider))}" if slash else f"s3://{bucket}"


def _folder_start(spec: FolderSpec) -> str:
    target, first = spec.target, template(spec.target.key).pieces[0]
    return f"s3://{target.bucket}/" + (normalised(first, profile(target.provider)) if isinstance(first, str) else "")
