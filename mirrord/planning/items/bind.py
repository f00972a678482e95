"""From a file that a folder's listing found to its item: the folder's key template, filled. Pure.

Owns which placeholders a file's name fills, and whether a key holds a date that is kept. Refuses a name that makes no
lawful key; that the template itself is sound, `planning.items.expand` has seen to. The dates are `folders.binding`'s.
"""

import os
from functools import lru_cache

from mirrord.declared import FolderSpec
from mirrord.errors import KeyRefused
from mirrord.model import Destination, File, Item, Origin, directory_prefix, file_path, origin_at
from mirrord.planning.items import keys
from mirrord.planning.items.templates import DATE, template
from mirrord.providers import profile


def has_date(folder: FolderSpec) -> bool:
    """Whether the keys of this folder's files hold a date that is kept: where files leave, each is a new one."""
    return not folder.removes_files and _dated(folder.target.key)


@lru_cache(maxsize=1024)
def _dated(key: str) -> bool:
    return DATE in template(key).names


def file_of(folder: FolderSpec, name: str) -> File:
    """The file of that name in the folder. `name` is relative to the folder."""
    return File(folder.path, name, folder.selection.follow_symlinks, folder.after_upload)


def name_of(folder: FolderSpec, address: str) -> str | None:
    """The name in the folder of the file at this address; None: the address is not in the folder."""
    path, root = file_path(address), directory_prefix(folder.path)
    return path.removeprefix(root) if path is not None and path.startswith(root) else None


def recorded_origin(folder: FolderSpec, address: str) -> Origin:
    """What a record of the folder names as its source: a file of the folder, or whatever else the address is."""
    name = name_of(folder, address)
    return origin_at(address) if name is None else file_of(folder, name)


def item_of(folder: FolderSpec, name: str, dated: float) -> Item:
    """The item of one file that the folder's listing found.

    `name` is relative to the folder; `dated`, seconds since the epoch, is its mtime of when it was first recorded, and
    means something only where `has_date`. `{ext}` has its dot. Raises KeyRefused if the name makes no lawful key.
    """
    base = name.rpartition("/")[2]
    stem, ext = os.path.splitext(base)
    try:
        key = template(folder.target.key).fill({"path": name, "name": base, "stem": stem, "ext": ext}, dated)
    except ValueError as error:
        raise KeyRefused(str(error)) from error
    target = folder.target
    lawful = keys.normalised(key, profile(target.provider))
    destination = Destination(target.store, target.endpoint, target.bucket, lawful)
    if fault := keys.key_fault(destination.key):
        raise KeyRefused(f"{fault}: rename the file, or change the folder's key")
    return Item(
        id=destination.item_id,
        entry=folder.entry,
        origin=file_of(folder, name),
        destination=destination,
        options=folder.options,
        dated=dated if has_date(folder) else None,
    )
