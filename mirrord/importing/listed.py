"""Lists of sources as inputs: which format a text has, by its content, and the entry that follows it.

Owns the recognition and the report of bad rows. `planning.lists` owns the formats, and `mirrors: list` reads them. A
manifest names a list by its file, whose *name* gives the format; a file with another name must be renamed.
"""

import json
import os
import re
from collections.abc import Iterator

from mirrord.declared import ListSpec
from mirrord.importing.shell import literal
from mirrord.importing.values import ImportedList, ImportRefused, Remark, Where
from mirrord.planning.decisions.digests import listed_digest
from mirrord.planning.lists.formats import (
    DigestLines,
    JsonLines,
    ListFormat,
    PulpLines,
    TableFormat,
    UrlLines,
    format_of,
)
from mirrord.planning.lists.rows import ListRefused

_STS = "TsvHttpData-"
_PULP = re.compile(r"[^,]+(?:,[^,]+)*,[0-9a-fA-F]{64},\d+")
_ADDRESS = re.compile(r"(?:https?|s3)://\S")
_MOST_BAD = 20
"""Bad rows that are named one by one."""
_SAMPLES = {
    "STS": ("a list of the Storage Transfer Service", ".tsv", "{host}{path}"),
    "SHA256SUMS": ("a SHA256SUMS", "SHA256SUMS", ""),
    "PULP_MANIFEST": ("a PULP_MANIFEST", "PULP_MANIFEST", ""),
    "jsonl": ("a list of JSON lines", ".jsonl", "{host}{path}"),
    "tsv": ("a list with columns", ".tsv", "{host}{path}"),
    "csv": ("a list with columns", ".csv", "{host}{path}"),
    "txt": ("a list of URLs", ".txt", "{host}{path}"),
}
"""By kind: what it is called, the end of the name that it needs, and the usual keys below the prefix."""


def list_kind(text: str) -> str | None:
    """The kind of a list of sources, by its first line that is no comment; None if the text is no such list."""
    first = next((line for line in text.split("\n") if line.strip() and not line.startswith("#")), "")
    if first.startswith(_STS):
        return "STS"
    if first.startswith("-----BEGIN PGP SIGNED MESSAGE") or _is_digest(first):
        return "SHA256SUMS"
    if _PULP.fullmatch(first.strip()):
        return "PULP_MANIFEST"
    if first.lstrip().startswith("{"):
        return "jsonl" if _has_url(first) else None
    for kind, separator in (("tsv", "\t"), ("csv", ",")):
        columns = [name.strip().strip('"').lower() for name in first.split(separator)]
        if len(columns) > 1 and ("url" in columns or _ADDRESS.match(columns[0])):
            return kind
    return "txt" if _ADDRESS.match(first.strip()) and len(first.split()) == 1 else None


def _is_digest(line: str) -> bool:
    try:
        return listed_digest(line.strip()) is not None
    except ValueError:
        return False


def _has_url(line: str) -> bool:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and "url" in found


def read_list(file: str, text: str, kind: str, directory: str, to: str | None) -> tuple[ImportedList, list[Remark]]:
    """The entry of a list, and its bad rows. Raises ImportRefused if the file's name does not give this format."""
    what, ending, keys = _SAMPLES[kind]
    location = os.path.normpath(os.path.join(directory, file))
    named = _named_format(location)
    if named is None or not isinstance(named, _format(kind)):
        raise ImportRefused(
            f"{file}: is {what}; mirrord knows the format of a list by its name: rename it to …{ending}"
        )
    prefix = literal(to) if to else "s3://${MIRRORD_IMPORT_BUCKET}/"
    target = prefix + keys if prefix.endswith("/") else prefix
    found = ImportedList(Where(file, 1), what, literal(location), target)
    remarks = list(_bad_rows(file, text, named))
    if not to:
        found.options.remarks.append(
            "a list names no bucket: set MIRRORD_IMPORT_BUCKET, or import it with --to s3://bucket/"
        )
    if kind in ("SHA256SUMS", "PULP_MANIFEST"):
        found.options.remarks.append(
            "its names are files beside the list: if they are at a URL, write the URL of the list"
        )
    return found, remarks


def _format(kind: str) -> type:
    return {"SHA256SUMS": DigestLines, "PULP_MANIFEST": PulpLines, "jsonl": JsonLines, "txt": UrlLines}.get(
        kind, TableFormat
    )


def _named_format(location: str) -> ListFormat | None:
    try:
        return format_of(ListSpec(entry="", location=location, to="", store="", endpoint=""))
    except ValueError:
        return None


def _bad_rows(file: str, text: str, named: ListFormat) -> Iterator[Remark]:
    bad = 0
    for number, line in enumerate(text.split("\n"), 1):  # as a list is read: U+2028 may be in a name
        try:
            named.row(line.removesuffix("\r"))
        except ListRefused as error:
            raise ImportRefused(f"{file}: the list {error}") from None
        except ValueError as error:
            bad += 1
            if bad <= _MOST_BAD:
                yield Remark(Where(file, number), f"is a bad row: {_without_values(str(error))}")
    if bad > _MOST_BAD:
        yield Remark(Where(file, 1), f"{bad:,} rows are bad, of which {_MOST_BAD} are named")


def _without_values(message: str) -> str:
    return re.sub(r"(['\"]).*\1", "the value", message)
