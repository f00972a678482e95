"""Which files of a folder are new and small, so that many of them are sent together. Pure.

Owns this one rule. Such a file has only one way: it is read, sent with If-None-Match, proven and recorded. Every other
file, and one for which anything else happens on that way, gets a check of its own (`reconcile`).
"""

from mirrord.declared import FolderSpec
from mirrord.model import ChecksumKind, FileIdentity, Options, Overwrite, TransferKind
from mirrord.planning.decisions.listed import Verdict
from mirrord.planning.transfers.parts import part_layout
from mirrord.providers import Provider
from mirrord.units import KiB

MOST_BYTES = 256 * KiB
"""The largest file that is sent together with others. For larger ones the cost of a check does not count."""


def needs_only_a_put(folder: FolderSpec) -> bool:
    """Whether the objects of new small files of the folder need nothing but a put: the entry demands nothing of their
    bytes, is read back by nobody, and follows no links."""
    options, requires = folder.options, folder.options.requires
    if options.suspend or options.readback or requires.checksum is not None or requires.content_type is not None:
        return False
    return not folder.selection.follow_symlinks


def is_proven_by_a_put(options: Options, provider: Provider, memory_limit: int) -> bool:
    """Whether the answer to one put with If-None-Match can prove a small file at this store, and the condition protects
    the objects of others where `overwrite` demands that. With a key of a KMS or of the customer an ETag is no MD5 (AWS,
    "Checking object integrity")."""
    checksum, protects = provider.checksum, options.overwrite is not Overwrite.ALWAYS
    has_key = options.object.encryption == "aws:kms" or options.object.customer_key is not None
    if checksum is ChecksumKind.NONE or (checksum is ChecksumKind.MD5 and has_key):
        return False
    if protects and not provider.conditional_puts:
        return False
    return part_layout(MOST_BYTES, options.upload, provider, memory_limit).kind is TransferKind.PUT


def is_small(file: FileIdentity | None, max_size: int | None) -> bool:
    """Whether the file is small enough, also for its entry's `max_size`. An empty file is left to its own check, as its
    size may be untrue."""
    most = MOST_BYTES if max_size is None else min(MOST_BYTES, max_size)
    return file is not None and 0 < file.size <= most


def is_free(verdict: Verdict) -> bool:
    """Whether a put with If-None-Match is the next step for a key: a complete listing lacks it."""
    return verdict is Verdict.ABSENT
