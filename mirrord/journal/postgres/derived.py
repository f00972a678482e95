"""What PostgreSQL's statements need beside the journal's values, and what its rows lack. Pure.

PostgreSQL neither folds case as Python does nor reads JSON with lone surrogates. So mirrord writes, beside a record,
what queries compare: its case-folded names (NULL if folding changes nothing), and inode, size and mtime of its file.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from mirrord.journal.sql.database import SqlRow, SqlValues

_ENTRY, _SOURCE, _KEY, _REVISION = 1, 2, 6, 12
"""Places in the values of `save_record`."""
_FILE = ', "file": ['
_BETWEEN = b"\xff"  # in no text: not UTF-8
_SEARCHES = {
    *("page", "page_out_of_sync", "page_of_entry", "state_by_since", "state_by_since_descending"),
    *("sorted_ids_by_object", "sorted_ids_by_number"),
}


def statement(name: str, values: SqlValues) -> tuple[str, SqlValues]:
    """The statement of `queries.sql` and its values, for one of the journal's."""
    if name == "sorted_ids" and isinstance(values, Mapping):
        name = "sorted_ids_by_object" if values["by"] == "object" else "sorted_ids_by_number"
    if name in _SEARCHES and isinstance(values, Mapping) and values["text"] is not None:
        return "page_mentioning" if name == "page" else name, {**values, "text": _folded(values["text"])}
    change = _VALUES.get(name)
    return name, values if change is None else change(values)


def _text(value: Any) -> str:
    return value if type(value) is str else value.decode("utf-8", "surrogatepass")


def _folded(value: Any) -> bytes:
    return _text(value).casefold().encode("utf-8", "surrogatepass")


def _folded_if_other(*values: Any) -> bytes | None:
    texts = list(map(_text, values))
    folded = [one.casefold() for one in texts]
    return None if folded == texts else _BETWEEN.join(one.encode("utf-8", "surrogatepass") for one in folded)


def _of_record(values: Any) -> SqlRow:
    revision = values[_REVISION]
    file = None if revision is None else revision.rpartition(_FILE)
    made_from = _made_from(file[2][:-2]) if file and file[1] else None
    return (*values, made_from, _folded_if_other(values[_KEY], values[_SOURCE]), _folded_if_other(values[_ENTRY]))


def _made_from(numbers: str) -> str:
    """Inode, size and mtime of `device, inode, size, mtime, ctime`."""
    return numbers.partition(", ")[2].rpartition(", ")[0]


DERIVED = ("made_from", "folded_names", "folded_entry")
"""Columns of `items`."""


def of_copied(item: Mapping[str, Any]) -> SqlRow:
    """The values of DERIVED for an item of another journal. An older mirrord wrote the JSON of revisions otherwise."""
    revision, made_from = item["revision"], None
    if revision is not None and '"file"' in revision:
        with suppress(ValueError, TypeError):  # damage, which the check of the row reports
            _, inode, size, mtime, _ = json.loads(revision)["file"]
            made_from = f"{inode}, {size}, {mtime}"
    return made_from, _folded_if_other(item["key"], item["source"]), _folded_if_other(item["entry"])


_VALUES: Mapping[str, Callable[[Any], SqlValues]] = {
    "save_record": _of_record,
    "rename": lambda values: {**values, "folded_entry": _folded_if_other(values["entry"])},
    "made_from": lambda values: {**values, "file": _made_from(values["file"][1:-1])},
}


def rows(name: str, found: Sequence[Any]) -> Sequence[Any]:
    """The rows as the journal reads them."""
    return list(map(_schedule, found)) if name == "recorded_schedules" else found


def _schedule(row: Any) -> Any:
    """With address, length and ETag of the revision, instead of the revision."""
    *first, revision, _, _, entry = row
    try:
        known = {} if revision is None else json.loads(revision)
        fields = known.get("address"), known.get("length"), known.get("etag")
    except (ValueError, AttributeError):  # the check of the row reports it
        fields = b"", b"", b""
    return (*first, *fields, entry)
