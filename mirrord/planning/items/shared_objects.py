"""Which folders may give one object to two files: by their key templates, and by the keys that their stores merge.
Pure.

Owns the comparison of folders, which needs none of their files. Most folders give each file an object of its own, so
that no claim of theirs has to be compared.
"""

import re
from collections.abc import Sequence

from mirrord.declared import FolderSpec
from mirrord.planning.items import keys
from mirrord.planning.items.templates import DATE, Placeholder, template
from mirrord.providers import Provider, profile

_FIXED_DATE = re.compile(r"(?:[^%]|%[YmdHMSjfUWVGuw%])*")
"""Formats whose texts all have one length, as long as a year has four digits."""


def sharing(folders: Sequence[FolderSpec]) -> frozenset[str]:
    """The entries of the folders of which two files may have one object, in one folder or in two of these."""
    found = {one.entry for one in folders if not has_distinct_keys(one)}
    open_ones: list[FolderSpec] = []  # each one's prefix begins as that of the one before it
    for one in sorted(folders, key=_place):
        while open_ones and not _meet(open_ones[-1], one):
            open_ones.pop()
        if open_ones:
            found |= {open_ones[-1].entry, one.entry}
        open_ones.append(one)
    return frozenset(found)


def partners(folders: Sequence[FolderSpec], wanted: Sequence[FolderSpec]) -> Sequence[FolderSpec]:
    """Those of all `folders` that are not `wanted`, and whose files may have the object of a file of a wanted one."""
    names = {one.entry for one in wanted}
    return [one for one in folders if one.entry not in names and any(_meet(one, other) for other in wanted)]


def has_distinct_keys(folder: FolderSpec) -> bool:
    """Whether no two paths of the folder fill its key template equally: the template has the path once, and besides it
    only texts and dates of one length."""
    pieces = [one for one in template(folder.target.key).pieces if isinstance(one, Placeholder)]
    others = [one for one in pieces if one.name != "path"]
    return len(pieces) == len(others) + 1 and all(map(_has_one_length, others))


def may_merge(folder: FolderSpec) -> bool:
    """Whether the folder's store takes some keys for one (`merges`)."""
    provider = profile(folder.target.provider)
    return provider.merges_unicode or provider.merges_slashes


def merges(provider: Provider, name: str) -> bool:
    """Whether the store keeps this name in another form, which is that of another name, too."""
    return keys.normalised(name, provider) != name


def _has_one_length(one: Placeholder) -> bool:
    return one.name == DATE and _FIXED_DATE.fullmatch(one.format or "%Y-%m-%d") is not None


def _meet(one: FolderSpec, other: FolderSpec) -> bool:
    """Whether a file of each may have one object: one's keys may begin as the other's."""
    if (one.target.endpoint, one.target.bucket) != (other.target.endpoint, other.target.bucket):
        return False
    first, second = _prefix(one), _prefix(other)
    return first.startswith(second) or second.startswith(first)


def _place(folder: FolderSpec) -> tuple[str, str, str]:
    return folder.target.endpoint, folder.target.bucket, _prefix(folder)


def _prefix(folder: FolderSpec) -> str:
    """What all keys of the folder begin with."""
    first, provider = template(folder.target.key).pieces[0], profile(folder.target.provider)
    prefix = keys.normalised(first if isinstance(first, str) else "", provider)
    return prefix.rpartition("/")[0] if provider.merges_unicode else prefix  # the next sign may join the last one
