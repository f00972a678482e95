"""The statements of `queries.sql` in the form that psycopg takes, and their values.

A parameter that is cast to bytea is free text: it is bound as UTF-8 bytes, which may contain NUL and lone surrogates.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from mirrord.journal.sql.database import SqlValues
from mirrord.journal.sql.scripts import statements_of

_COLUMNS = {
    "$item": (
        "item_id, entry, source, store, endpoint, bucket, key, state, reason, message, since, next_check, revision, "
        "transfer_id, etag, size, checksum_kind, checksum_value, integrity, synced_at, options_digest, removed, dated, "
        "etag_from_head, listed_etag, began"
    ),
    "$past_object": (
        "until, entry, source, revision, transfer_id, etag, size, checksum_kind, checksum_value, integrity, synced_at, "
        "options_digest, etag_from_head, listed_etag, began"
    ),
    "$transfer": (
        "id, item_id, store, endpoint, bucket, key, revision, kind, part_size, largest_part, growth_step, started, "
        "checksum_kind, options_digest, upload_id, whole_kind, whole_value, settled, complete_requested"
    ),
    # of this worker, or of one whose lease ended; a reader, which has no worker, sees all
    "$ours": (
        "(:worker::text = '' OR NOT EXISTS (SELECT 1 FROM lease WHERE owner = transfers.worker "
        "AND owner <> :worker::text AND until > clock_timestamp()))"
    ),
    "$mentioned": (
        "(:text::bytea IS NULL OR position(:text::bytea IN coalesce(folded_entry, entry)) > 0 "
        r"OR position(:text::bytea IN coalesce(folded_names, key || '\xff'::bytea || source)) > 0)"
    ),
}
_COMMENT = re.compile(r"--.*")
_PARAMETER = re.compile(r"(?:(?<!:):(?P<name>\w+)|\?)(?P<text>::bytea)?")


class Prepared(NamedTuple):
    """A statement for psycopg, and which of its parameters are free text: by name, or by place."""

    text: bytes
    free: frozenset[str | int]

    def bound(self, values: SqlValues) -> Mapping[str, Any] | tuple[Any, ...]:
        if isinstance(values, Mapping):
            return {name: _bytes(one) if name in self.free else one for name, one in values.items()}
        return tuple([_bytes(one) if place in self.free else one for place, one in enumerate(values)])


@cache
def statements() -> Mapping[str, Prepared]:
    """The statements of `queries.sql` by name."""
    return {name: _prepared(text) for name, text in statements_of(__package__).items()}


def _prepared(text: str) -> Prepared:
    for name, columns in _COLUMNS.items():
        text = text.replace(name, columns)
    parameters = list(_PARAMETER.finditer(text := _COMMENT.sub("", text).strip().removesuffix(";")))
    free = {one["name"] or place for place, one in enumerate(parameters) if one["text"]}
    return Prepared(_PARAMETER.sub(_placeholder, text).encode(), frozenset(free))


def _placeholder(parameter: re.Match[str]) -> str:
    name = f"%({parameter['name']})s" if parameter["name"] else "%s"
    return name + (parameter["text"] or "")


def _bytes(value: Any) -> Any:
    if type(value) is str:
        return value.encode("utf-8", "surrogatepass")
    return list(map(_bytes, value)) if type(value) is list else value
