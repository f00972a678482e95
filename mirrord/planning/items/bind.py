"""From a file in the listing of a folder to its item: fills the key template of the folder. Pure.

Owns the placeholders of a file's name, and whether the date in a key is recorded. Refuses a name without a valid key;
`planning.items.expand` has already checked the template. `folders.binding` owns the dates.
"""

import os
from functools import lru_cache

from mirrord.declared import FolderSpec
from mirrord.errors import KeyRefused
from mirrord.model import Destination, File, Item, Origin, directory_prefix, file_path, origin_at
from mirrord.planning.items import keys
from mirrord.planning.items.templates import DATE, Placeholder, template
from mirrord.providers import profile


def has_date(folder: FolderSpec) -> bool:
    """Whether the keys of this folder hold a recorded date. Not if files are deleted or moved: then each file is a new
    one."""
    return not folder.removes_files and _dated(folder.target.key)


@lru_cache(maxsize=1024)
def _dated(key: str) -> bool:
    return DATE in template(key).names


def file_of(folder: FolderSpec, name: str) -> File:
    """The file of that name in the folder. `name` is relative to the folder."""
    return File(folder.path, name, folder.selection.follow_symlinks, folder.after_upload)


def name_of(folder: FolderSpec, address: str) -> str | None:
    """The file's name relative to the folder; None if the address is not in the folder."""
    path, root = file_path(address), directory_prefix(folder.path)
    return path.removeprefix(root) if path is not None and path.startswith(root) else None


def recorded_origin(folder: FolderSpec, address: str) -> Origin:
    """The origin in a record of the folder: a file of the folder, or another origin if the address is not in it."""
    name = name_of(folder, address)
    return origin_at(address) if name is None else file_of(folder, name)


def key_of(folder: FolderSpec, name: str, dated: float) -> str:
    """The key of the file's object. Parameters and errors: see `item_of`."""
    key = unchecked_key(folder, name, dated)
    if fault := keys.key_fault(key):
        raise KeyRefused(f"{fault}: rename the file, or change the folder's key")
    return key


def unchecked_key(folder: FolderSpec, name: str, dated: float) -> str:
    """As `key_of`, but the key may be one that S3 refuses. Raises KeyRefused if there is no date of that time."""
    return keys.normalised(_filled(folder.target.key, name, dated), profile(folder.target.provider))


def _filled(text: str, name: str, dated: float) -> str:
    before, last = _before_last(text)
    if last == "path":
        return before + name
    if last == "name":
        return before + name.rpartition("/")[2]
    base = name.rpartition("/")[2]
    stem, ext = os.path.splitext(base)
    try:
        return template(text).fill({"path": name, "name": base, "stem": stem, "ext": ext}, dated)
    except ValueError as error:
        raise KeyRefused(str(error)) from error


@lru_cache(maxsize=1024)
def _before_last(text: str) -> tuple[str, str]:
    """The text before the only placeholder, and its name, if it is `{path}` or `{name}` and nothing follows, as in most
    templates; else two empty texts."""
    match template(text).pieces:
        case (Placeholder(name="path" | "name" as last),):
            return "", last
        case (str(before), Placeholder(name="path" | "name" as last)):
            return before, last
    return "", ""


def item_of(folder: FolderSpec, name: str, dated: float) -> Item:
    """The item of one file in the folder's listing.

    `name` is relative to the folder. `dated` is the file's mtime when it was first recorded, in seconds since the
    epoch; it is used only if `has_date`. `{ext}` includes its dot. Raises KeyRefused if the name makes no valid key.
    """
    target = folder.target
    key, customer_key = key_of(folder, name, dated), folder.options.object.customer_key
    destination = Destination(target.store, target.endpoint, target.bucket, key, customer_key=customer_key)
    return Item(
        id=destination.item_id,
        entry=folder.entry,
        origin=file_of(folder, name),
        destination=destination,
        options=folder.options,
        dated=dated if has_date(folder) else None,
    )
