"""Converts records, transfers and parts to rows and back. Pure.

Free text is bound and read as UTF-8 bytes that may contain lone surrogates, because file names need not be valid
Unicode and SQLite would refuse them as text. A revision is one JSON text. The column `settled` holds
`JournaledProgress.given_up`. The column `completing` is no longer used: `complete_requested` replaced it.
"""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import fields
from json.encoder import encode_basestring_ascii
from operator import attrgetter

from mirrord.errors import Reason
from mirrord.model import (
    Checksum,
    ChecksumKind,
    Condition,
    Destination,
    FileIdentity,
    Integrity,
    JournaledProgress,
    Part,
    PartSizes,
    Record,
    RecordedObject,
    Revision,
    State,
    Transfer,
    TransferKind,
)
from mirrord.planning.decisions.identity import same_state
from mirrord.planning.decisions.unchanged import SeenFile

SqlValue = str | bytes | int | float | None
SqlValues = Mapping[str, SqlValue]
"""Values by the name of a column or parameter."""

_REVISION = [field.name for field in fields(Revision)]
_OTHERS = [name for name in _REVISION if name not in ("address", "length", "file")]
_NO_OTHERS = (None,) * len(_OTHERS)
_others = attrgetter(*_OTHERS)


def encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def decode(raw: bytes) -> str:
    """The connection's `text_factory`."""
    return raw.decode("utf-8", "surrogatepass")


def from_record(record: Record) -> SqlValues:
    return {
        "item_id": record.item_id,
        "entry": encode(record.entry),
        "source": encode(record.source),
        **_from_destination(record.destination),
        **_from_condition(record.condition),
        "revision": _from_revision(record.revision) if record.revision else None,
        **_from_object(record.object),
        "removed": record.removed,
        "dated": record.dated,
    }


def to_record(row: sqlite3.Row) -> Record:
    return Record(
        item_id=row["item_id"],
        entry=row["entry"],
        source=row["source"],
        destination=_to_destination(row),
        condition=_to_condition(row),
        revision=row["revision"] and _to_revision(row["revision"]),
        object=_to_object(row),
        removed=row["removed"],
        dated=row["dated"],
    )


def _from_condition(condition: Condition) -> SqlValues:
    return {
        "state": condition.state.value,
        "reason": condition.reason.value if condition.reason else None,
        "message": encode(condition.message),
        "since": condition.since,
        "next_check": condition.next_check,
    }


def _to_condition(row: sqlite3.Row) -> Condition:
    return Condition(
        state=State(row["state"]),
        reason=row["reason"] and Reason(row["reason"]),
        message=row["message"],
        since=row["since"],
        next_check=row["next_check"],
    )


def _from_object(known: RecordedObject) -> SqlValues:
    return {
        "transfer_id": known.transfer_id,
        "etag": known.etag,
        "etag_from_head": known.etag_from_head,
        "listed_etag": known.listed_etag,
        "size": known.size,
        **from_checksum(known.checksum),
        "integrity": known.integrity.value if known.integrity else None,
        "synced_at": known.synced_at,
        "options_digest": known.options_digest,
    }


def _to_object(row: sqlite3.Row) -> RecordedObject:
    return RecordedObject(
        transfer_id=row["transfer_id"],
        etag=row["etag"],
        etag_from_head=bool(row["etag_from_head"]),
        listed_etag=row["listed_etag"],
        size=row["size"],
        checksum=_to_checksum(row),
        integrity=row["integrity"] and Integrity(row["integrity"]),
        synced_at=row["synced_at"],
        options_digest=row["options_digest"],
    )


def from_transfer(transfer: Transfer) -> SqlValues:
    progress = transfer.progress
    return {
        "id": transfer.id,
        "item_id": transfer.item_id,
        **_from_destination(transfer.destination),
        "revision": _from_revision(transfer.revision),
        "kind": transfer.kind.value,
        "started": transfer.started,
        **_from_part_sizes(transfer.part_sizes),
        "checksum_kind": transfer.checksum_kind.value,
        "options_digest": transfer.options_digest,
        "upload_id": progress.upload_id,
        **from_checksum(progress.whole, "whole"),
        "complete_requested": progress.complete_requested,
        "settled": progress.given_up,
    }


def to_transfer(row: sqlite3.Row) -> Transfer:
    return Transfer(
        id=row["id"],
        item_id=row["item_id"],
        destination=_to_destination(row),
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


def _from_part_sizes(sizes: PartSizes | None) -> SqlValues:
    return {
        "part_size": sizes.first if sizes else None,
        "largest_part": sizes.largest if sizes else None,
        "growth_step": sizes.step if sizes else None,
    }


def _to_part_sizes(row: sqlite3.Row) -> PartSizes | None:
    """A row of an older journal has only `part_size`: the size of all parts."""
    if row["part_size"] is None:
        return None
    if row["largest_part"] is None:
        return PartSizes.equal(row["part_size"])
    return PartSizes(row["part_size"], row["largest_part"], row["growth_step"])


def from_part(transfer_id: str, part: Part) -> SqlValues:
    return {
        "transfer_id": transfer_id,
        "number": part.number,
        "size": part.size,
        "etag": part.etag,
        **from_checksum(part.checksum),
    }


def to_part(row: sqlite3.Row) -> Part:
    return Part(number=row["number"], size=row["size"], etag=row["etag"], checksum=_to_checksum(row))


def from_checksum(checksum: Checksum | None, name: str = "checksum") -> dict[str, SqlValue]:
    return {
        f"{name}_kind": checksum.kind.value if checksum else None,
        f"{name}_value": checksum.value if checksum else None,
    }


def _to_checksum(row: sqlite3.Row, name: str = "checksum") -> Checksum | None:
    kind = row[f"{name}_kind"]
    return Checksum(ChecksumKind(kind), row[f"{name}_value"]) if kind else None


def _from_destination(at: Destination) -> dict[str, SqlValue]:
    return {
        "store": encode(at.store),
        "endpoint": encode(at.endpoint),
        "bucket": encode(at.bucket),
        "key": encode(at.key),
    }


def _to_destination(row: sqlite3.Row) -> Destination:
    return Destination(store=row["store"], endpoint=row["endpoint"], bucket=row["bucket"], key=row["key"])


def _from_revision(revision: Revision) -> str:
    file, length = revision.file, revision.length
    if file is not None and length is not None and _others(revision) == _NO_OTHERS:  # of most files: 5 us less
        address = encode_basestring_ascii(revision.address)
        return f'{{"address": {address}, "length": {length}, "file": {from_file(file)}}}'
    known = {name: value for name in _REVISION if (value := getattr(revision, name)) is not None and name != "file"}
    text = json.dumps(known)
    return text if revision.file is None else f'{text[:-1]}, "file": {from_file(revision.file)}}}'


def from_file(file: FileIdentity) -> str:
    """The file's identity as in the JSON of a revision."""
    return f"[{file.device}, {file.inode}, {file.size}, {file.mtime_ns}, {file.ctime_ns}]"


def _to_revision(text: str) -> Revision:
    known = json.loads(text)
    if "file" in known:
        known["file"] = FileIdentity(*known["file"])
    return Revision(**known)


def recorded_device(text: str, seen: SeenFile) -> int | None:
    """The device of the file in the JSON of a revision, if `seen` is in the same state; else None.

    Compares texts, because to parse them would take five times as long (5 us a file)."""
    file = seen.file
    start = f'{{"address": "{seen.address}", "length": {file.size}, "file": ['
    end = f", {file.inode}, {file.size}, {file.mtime_ns}, {file.ctime_ns}]}}"
    device = text[len(start) : -len(end)]
    if device.isdecimal() and text == start + device + end:
        return int(device)
    revision = _to_revision(text)
    same = revision.address == seen.address and same_state(file, revision.file)
    return revision.file.device if same and revision.file is not None else None
