"""From a file that a folder's listing found to its item: the folder's key template, filled. Pure.

Owns which placeholders a file's name fills, and whether a key holds a date that is kept. Refuses a name that makes no
lawful key; that the template itself is sound, `planning.expand` has seen to. The dates are `folders.binding`'s.
"""

import os
from functools import lru_cache

from mirrord.declared import FolderSpec
from mirrord.errors import KeyRefused
from mirrord.model import Destination, Item, file_address
from mirrord.planning import keys
from mirrord.planning.templates import DATE, template
from mirrord.providers import profile


def has_date(folder: FolderSpec) -> bool:
    """Whether the keys of this folder's files hold a date that is kept: where files leave, each is a new one."""
    return not folder.removes_files and _dated(folder.key)


@lru_cache(maxsize=1024)
def _dated(key: str) -> bool:
    return DATE in template(key).names


def item_of(folder: FolderSpec, name: str, dated: float) -> Item:
    """The item of one file that the folder's listing found.

    `name` is relative to the folder; `dated`, seconds since the epoch, is its mtime of when it was first recorded, and
    means something only where `has_date`. `{ext}` has its dot. Raises KeyRefused if the name makes no lawful key.
    """
    base = name.rpartition("/")[2]
    stem, ext = os.path.splitext(base)
    try:
        key = template(folder.key).fill({"path": name, "name": base, "stem": stem, "ext": ext}, dated)
    except ValueError as error:
        raise KeyRefused(str(error)) from error
    destination = Destination(
        folder.store, folder.endpoint, folder.bucket, keys.normalised(key, profile(folder.provider))
    )
    if fault := keys.key_fault(destination.key):
        raise KeyRefused(f"{fault}: rename the file, or change the folder's key")
    return Item(
        id=destination.item_id,
        entry=folder.entry,
        source=file_address(f"{folder.path.rstrip('/')}/{name}"),
        destination=destination,
        options=folder.options,
        root=folder.path,
        follow=folder.follow_symlinks,
        after_upload=folder.after_upload,
        dated=dated if has_date(folder) else None,
    )
