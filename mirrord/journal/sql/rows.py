"""Converts records, transfers and parts to rows and back. Pure.

Free text is bound (if it is not ASCII) and read as UTF-8 bytes that may contain lone surrogates, because file names
need not be valid Unicode and databases refuse them as text. A revision is one JSON text. The column `settled` holds
`JournaledProgress.given_up`. The column `completing` is no longer used: `complete_requested` replaced it.
"""

import json
from collections.abc import Iterable
from dataclasses import fields
from json.encoder import encode_basestring_ascii
from operator import attrgetter

from mirrord.errors import Reason
from mirrord.journal.sql import row_types
from mirrord.journal.sql.database import Row, SqlRow, SqlValue, SqlValues
from mirrord.model import (
    Checksum,
    ChecksumKind,
    Condition,
    Destination,
    FailedAttempt,
    FileIdentity,
    Integrity,
    JournaledProgress,
    Notice,
    Notification,
    ObjectOptions,
    OutboxRow,
    Part,
    PartSizes,
    PastObject,
    Record,
    RecordedObject,
    RecordedSchedule,
    Revision,
    State,
    Transfer,
    TransferKind,
    customer_key_in,
)
from mirrord.planning.decisions.identity import same_state
from mirrord.planning.decisions.unchanged import SeenFile

_REVISION = [field.name for field in fields(Revision)]
_OPTIONS = [field.name for field in fields(ObjectOptions)]
_OTHERS = [name for name in _REVISION if name not in ("address", "length", "file")]
_STATES = {state.value: state for state in State}
_NO_OTHERS = (None,) * len(_OTHERS)
_others = attrgetter(*_OTHERS)
_PLAIN = [name for name in _REVISION if name != "file"]
_plain = attrgetter(*_PLAIN)


def encode(text: str) -> str | bytes:
    """For a parameter that is free text: cast to TEXT in SQLite, to bytea in PostgreSQL."""
    return text if text.isascii() else text.encode("utf-8", "surrogatepass")


def _texts(*texts: str) -> Iterable[str | bytes]:
    """`encode` of each; most are ASCII together."""
    return texts if "".join(texts).isascii() else map(encode, texts)


def decode(raw: bytes) -> str:
    """The text of these bytes of a column."""
    return raw.decode("utf-8", "surrogatepass")


def from_record(record: Record) -> SqlRow:
    """The values of `save_record`."""
    at, condition, known = record.destination, record.condition, record.object
    *texts, message = _texts(record.entry, record.source, at.store, at.endpoint, at.bucket, at.key, condition.message)
    return (
        record.item_id,
        *texts,
        condition.state.value,
        condition.reason.value if condition.reason else None,
        message,
        condition.since,
        condition.next_check,
        _from_revision(record.revision) if record.revision else None,
        known.transfer_id,
        known.etag,
        known.size,
        *_from_checksum(known.checksum),
        known.integrity.value if known.integrity else None,
        known.synced_at,
        known.options_digest,
        record.removed,
        record.dated,
        known.etag_from_head,
        known.listed_etag,
        known.transfer_id,
    )


@row_types.guarded
def to_record(row: Row) -> Record:
    row_types.ITEM.check(row)
    return Record(
        item_id=row["item_id"],
        entry=row["entry"],
        source=row["source"],
        destination=_to_destination(row),
        condition=_to_condition(row),
        revision=None if row["revision"] is None else _to_revision(row["revision"]),
        object=_to_object(row),
        removed=row["removed"],
        dated=row["dated"],
    )


@row_types.guarded
def to_schedule(row: Row) -> RecordedSchedule:
    """Of a row of `recorded_schedules`, by number: a million are read at a start."""
    row_types.check_schedule(*map(type, row))
    _, state, next_check, removed, *others = row
    if next_check is not None:
        row_types.check_time(next_check)
    if removed is not None:
        row_types.check_time(removed)
    return RecordedSchedule(_STATES[state], next_check, removed, *others)


@row_types.guarded
def to_past_object(row: Row) -> PastObject:
    row_types.PAST_OBJECT.check(row)
    return PastObject(
        until=row["until"],
        entry=row["entry"],
        source=row["source"],
        revision=None if row["revision"] is None else _to_revision(row["revision"]),
        object=_to_object(row),
    )


@row_types.guarded
def to_failed_attempt(row: Row) -> FailedAttempt:
    row_types.FAILED_ATTEMPT.check(row)
    return FailedAttempt(
        when=row["at"],
        entry=row["entry"],
        source=row["source"],
        state=State(row["state"]),
        reason=None if row["reason"] is None else Reason(row["reason"]),
        message=row["message"],
    )


def _to_condition(row: Row) -> Condition:
    return Condition(
        state=State(row["state"]),
        reason=None if row["reason"] is None else Reason(row["reason"]),
        message=row["message"],
        since=row["since"],
        next_check=row["next_check"],
    )


def _to_object(row: Row) -> RecordedObject:
    return RecordedObject(
        transfer_id=row["transfer_id"],
        etag=row["etag"],
        etag_from_head=bool(row["etag_from_head"]),
        listed_etag=row["listed_etag"],
        size=row["size"],
        checksum=_to_checksum(row),
        integrity=None if row["integrity"] is None else Integrity(row["integrity"]),
        synced_at=row["synced_at"],
        options_digest=row["options_digest"],
        began=row["began"],
    )


def from_transfer(transfer: Transfer, worker: str = "") -> SqlRow:
    """The values of `begin_transfer`."""
    at, progress, sizes = transfer.destination, transfer.progress, transfer.part_sizes
    return (
        transfer.id,
        transfer.item_id,
        *_texts(at.store, at.endpoint, at.bucket, at.key),
        _from_revision(transfer.revision),
        transfer.kind.value,
        *((sizes.first, sizes.largest, sizes.step) if sizes else (None, None, None)),
        transfer.started,
        transfer.checksum_kind.value,
        transfer.options_digest,
        progress.upload_id,
        *_from_checksum(progress.whole),
        progress.given_up,
        progress.complete_requested,
        worker,
    )


@row_types.guarded
def to_transfer(row: Row) -> Transfer:
    row_types.TRANSFER.check(row)
    return Transfer(
        id=row["id"],
        item_id=row["item_id"],
        destination=_to_destination(row, customer_key_in(row["options_digest"])),
        revision=_to_revision(row["revision"]),
        kind=TransferKind(row["kind"]),
        started=row["started"],
        part_sizes=_to_part_sizes(row),
        checksum_kind=ChecksumKind(row["checksum_kind"]),
        options_digest=row["options_digest"],
        progress=JournaledProgress(
            upload_id=row["upload_id"],
            whole=_to_checksum(row, "whole"),
            complete_requested=row["complete_requested"],
            given_up=row["settled"],
        ),
    )


def _to_part_sizes(row: Row) -> PartSizes | None:
    """A row of an older journal has only `part_size`: the size of all parts."""
    if row["part_size"] is None:
        return None
    if row["largest_part"] is None:
        return PartSizes.equal(row["part_size"])
    if row["growth_step"] is None:
        raise TypeError("growth_step")
    return PartSizes(row["part_size"], row["largest_part"], row["growth_step"])


def from_part(transfer_id: str, part: Part) -> SqlValues:
    return {
        "transfer_id": transfer_id,
        "number": part.number,
        "size": part.size,
        "etag": part.etag,
        **from_checksum(part.checksum),
    }


@row_types.guarded
def to_part(row: Row) -> Part:
    row_types.PART.check(row)
    return Part(number=row["number"], size=row["size"], etag=row["etag"], checksum=_to_checksum(row))


@row_types.guarded
def to_outbox_row(row: Row) -> OutboxRow:
    row_types.OUTBOX_ROW.check(row)
    if type(json.loads(row["data"])) is not dict:
        raise TypeError("data")
    notification = Notification(
        id=row["id"],
        name=Notice(row["name"]),
        about=row["about"],
        subject=row["subject"],
        time=row["time"],
        data=row["data"],
    )
    return OutboxRow(row["number"], row["receiver"], row["attempts"], notification)


def from_checksum(checksum: Checksum | None, name: str = "checksum") -> dict[str, SqlValue]:
    kind, value = _from_checksum(checksum)
    return {f"{name}_kind": kind, f"{name}_value": value}


def _from_checksum(checksum: Checksum | None) -> tuple[str | None, str | None]:
    return (checksum.kind.value, checksum.value) if checksum else (None, None)


def _to_checksum(row: Row, name: str = "checksum") -> Checksum | None:
    kind, value = row[f"{name}_kind"], row[f"{name}_value"]
    if kind is None:
        return None
    if value is None:
        raise TypeError(name)
    return Checksum(ChecksumKind(kind), value)


def _to_destination(row: Row, customer_key: str | None = None) -> Destination:
    return Destination(row["store"], row["endpoint"], row["bucket"], row["key"], customer_key=customer_key)


def _from_revision(revision: Revision) -> str:
    file, length = revision.file, revision.length
    if file is not None and length is not None and _others(revision) == _NO_OTHERS:  # of most files: 5 us less
        address = encode_basestring_ascii(revision.address)
        return f'{{"address": {address}, "length": {length}, "file": {from_file(file)}}}'
    known = [(name, value) for name, value in zip(_PLAIN, _plain(revision), strict=True) if value is not None]
    text = "{" + ", ".join([f'"{name}": {_json(value)}' for name, value in known]) + "}"
    return text if revision.file is None else f'{text[:-1]}, "file": {from_file(revision.file)}}}'


def _json(value: str | int | bool) -> str:
    """As `json.dumps`, in a fifth of the time."""
    if type(value) is str:
        return encode_basestring_ascii(value)
    return str(value) if type(value) is int else json.dumps(value)


def from_options(options: ObjectOptions) -> str:
    """JSON of the options that are set; ASCII."""
    return json.dumps({name: value for name in _OPTIONS if (value := getattr(options, name))}, default=dict)


@row_types.guarded
def to_options(row: Row) -> ObjectOptions:
    known = row_types.options_fields(json.loads(row["options"]))
    return ObjectOptions(**{name: value for name, value in known.items() if name in _OPTIONS})


def from_file(file: FileIdentity) -> str:
    """The file's identity as in the JSON of a revision."""
    return f"[{file.device}, {file.inode}, {file.size}, {file.mtime_ns}, {file.ctime_ns}]"


def _to_revision(text: str) -> Revision:
    known = row_types.revision_fields(json.loads(text))
    if "file" in known:
        known["file"] = FileIdentity(*known["file"])
    return Revision(**known)


to_revision = row_types.guarded(_to_revision)


def recorded_device(text: str, seen: SeenFile) -> int | None:
    """The device of the file in the JSON of a revision, if `seen` is in the same state; else None.

    Compares texts, because to parse them would take five times as long (5 us a file)."""
    file = seen.file
    start = f'{{"address": "{seen.address}", "length": {file.size}, "file": ['
    end = f", {file.inode}, {file.size}, {file.mtime_ns}, {file.ctime_ns}]}}"
    device = text[len(start) : -len(end)]
    if device.isdecimal() and text == start + device + end:
        return int(device)
    revision = to_revision(text)
    same = revision.address == seen.address and same_state(file, revision.file)
    return revision.file.device if same and revision.file is not None else None
