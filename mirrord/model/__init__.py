"""The data types of mirrord: frozen dataclasses and enums. No I/O, no clock; methods only derive values from fields.

Desired: `Item` with its `Options`. Observed: `Revision`, `Observed` (a source now), `StoredObject` (an object now).
Recorded: `Record` (an item in the journal, with its `Condition` and its `RecordedObject`), `Transfer` (the intent of
one attempt). docs/glossary.md defines the terms. Times are seconds since the epoch (float, UTC); sizes are bytes;
durations seconds.
"""

from mirrord.model.addresses import shown
from mirrord.model.after_upload import DeleteFile, FileAction, FileRemoval, KeepFile, MoveFile
from mirrord.model.destinations import Destination, ItemIds, fingerprint
from mirrord.model.history import FailedAttempt, History, PastObject
from mirrord.model.id_table import IdTable
from mirrord.model.items import Item, mentions, shown_origin
from mirrord.model.kinds import ChecksumKind, Drift, Integrity, Overwrite, ProviderName, State, TransferKind
from mirrord.model.notifications import DEFAULT_NOTICES, Notice, Notification, OutboxCounts, OutboxRow
from mirrord.model.observed import (
    META_MD5,
    META_SHA256,
    META_TRANSFER,
    META_VALIDATOR,
    Checksum,
    FileIdentity,
    ListedObject,
    ObjectDetails,
    ObjectVersion,
    Observed,
    Part,
    Revision,
    StoredObject,
    Upload,
)
from mirrord.model.options import (
    DeclaredBytes,
    DeclaredSum,
    HttpOptions,
    ObjectOptions,
    Options,
    Schedule,
    SourceRequirements,
    UploadOptions,
)
from mirrord.model.origins import (
    File,
    FormerSource,
    ListedRevision,
    Origin,
    S3Object,
    Url,
    directory_prefix,
    file_address,
    file_path,
    origin_at,
)
from mirrord.model.recorded import (
    Condition,
    Copied,
    Holder,
    JournaledProgress,
    Outcome,
    PartSizes,
    Record,
    RecordedETag,
    RecordedObject,
    Transfer,
)

__all__ = [
    "DEFAULT_NOTICES",
    "META_MD5",
    "META_SHA256",
    "META_TRANSFER",
    "META_VALIDATOR",
    "Checksum",
    "ChecksumKind",
    "Condition",
    "Copied",
    "DeclaredBytes",
    "DeclaredSum",
    "DeleteFile",
    "Destination",
    "Drift",
    "FailedAttempt",
    "File",
    "FileAction",
    "FileIdentity",
    "FileRemoval",
    "FormerSource",
    "History",
    "Holder",
    "HttpOptions",
    "IdTable",
    "Integrity",
    "Item",
    "ItemIds",
    "JournaledProgress",
    "KeepFile",
    "ListedObject",
    "ListedRevision",
    "MoveFile",
    "Notice",
    "Notification",
    "ObjectDetails",
    "ObjectOptions",
    "ObjectVersion",
    "Observed",
    "Options",
    "Origin",
    "OutboxCounts",
    "OutboxRow",
    "Outcome",
    "Overwrite",
    "Part",
    "PartSizes",
    "PastObject",
    "ProviderName",
    "Record",
    "RecordedETag",
    "RecordedObject",
    "Revision",
    "S3Object",
    "Schedule",
    "SourceRequirements",
    "State",
    "StoredObject",
    "Transfer",
    "TransferKind",
    "Upload",
    "UploadOptions",
    "Url",
    "directory_prefix",
    "file_address",
    "file_path",
    "fingerprint",
    "mentions",
    "origin_at",
    "shown",
    "shown_origin",
]
