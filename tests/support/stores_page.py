"""Reads and writes docs/stores.md: what `doctor --store` measured at each store that the tests run on.

`python -m tests.support.stores_page` measures all of them, doubles included, and writes the page; the columns of
servers that are not on PATH (`built_stores`) stay. A test compares the columns of the real stores with a new
measurement.
"""

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mirrord.programs.doctor.judgements import MEASURED_NAMES
from mirrord.providers.facts import FactValue
from mirrord.units import MiB

PAGE = Path(__file__).parents[2] / "docs" / "stores.md"
WRITING = "MIRRORD_WRITE_STORES_PAGE"
"""The variable with which the test writes the page."""
Columns = Mapping[str, Mapping[str, FactValue]]

MEANINGS = {
    "objects": "what is written is read back",
    "deletes": "a deleted object is gone",
    "metadata": "`x-amz-meta-…` is kept",
    "ranges": "a range of an object can be read",
    "put_etag": "PutObject shows the ETag of HEAD",
    "listed_etag": "listings show the ETag of HEAD",
    "copies": "CopyObject works",
    "listed_keys": "a key with `+`, `%` and `ä` is listed as it was written",
    "versions": "two writes are two versions (only measured in buckets with versions)",
    "refuses_conditions": "If-None-Match is refused where it is true",
    "conditional_replaces": "PutObject honours If-Match",
    "conditional_replacing_completes": "CompleteMultipartUpload honours If-Match",
    "multipart": "an upload in parts is read back",
    "listed_parts": "ListParts shows the parts",
    "listed_uploads": "ListMultipartUploads finds an upload by a prefix of its key",
    "listed_upload_etag": "listings show the ETag of HEAD, of an upload",
    "repeated_completes": "a repeated CompleteMultipartUpload succeeds",
    "complete_etag": "CompleteMultipartUpload shows the ETag of HEAD",
    "conditional_puts": "PutObject honours If-None-Match",
    "conditional_completes": "CompleteMultipartUpload honours If-None-Match",
    "conditional_deletes": "DeleteObject honours If-Match",
    "checked_part_copies": "UploadPartCopy works in an upload with a checksum of the whole object",
    "merges_slashes": "a backslash in a key is a slash",
    "late_abort_harmless": "an abort after CompleteMultipartUpload does no harm",
    "equal_parts": "all parts but the last must have one size",
    "checksums": "checksums in headers that are compared with the bytes",
    "upload_checksums": "checksums of whole uploads that are compared",
    "trailer_checksums": "checksums in trailers that are compared",
    "min_part": "parts of this size, in MiB, are accepted (1 and 5 are tried)",
    "max_parts": "this number of a part is accepted (10,000 and 1,000 are tried)",
    "tags": "tags of objects",
    "customer_keys": "encryption with keys of the client (SSE-C)",
}
_HEAD = """# Stores

What `mirrord doctor --store` measured at the stores that mirrord's tests run on. The page is written by
`python -m tests.support.stores_page`, and a test compares it with a new measurement of the real ones (of MinIO and
versitygw only where their servers are on PATH). [commands.md](commands.md#mirrord-doctor) describes the command;
[providers.md](providers.md) has what is known of other stores, with the sources. `-`: not measured, because a call
before it failed, or because mirrord does not send this call to such a store.

## Real stores

"""
_DOUBLES = """
## Doubles

SeaweedFS behind a proxy that deviates as the product does, in what [providers.md](providers.md) lists. What is not
listed there is SeaweedFS's own behaviour, or the proxy's: these columns show what the tests meet, not the product.

"""


def page(real: Columns, doubles: Columns) -> str:
    """The text of the page."""
    return _HEAD + table(real) + _DOUBLES + table(doubles)


def table(columns: Columns) -> str:
    lines = [_row(["what", *columns]), "|" + "---|" * (len(columns) + 1)]
    for name in MEASURED_NAMES:
        values = [shown(name, measured.get(name)) for measured in columns.values()]
        if set(values) != {"-"}:
            lines.append(_row([MEANINGS[name], *values]))
    return "\n".join(lines) + "\n"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def shown(name: str, value: FactValue | None) -> str:
    """The text of a cell."""
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case tuple():
            return ", ".join(value) or "none"
        case int() if name == "min_part":
            return str(value // MiB) if value else "none of these"
        case int():
            return f"{value:,}"
    return str(value)


def kept(programs: Iterable[str]) -> Columns:
    """The columns of the page whose names begin with one of these and a version."""
    text = PAGE.read_text()
    tables = [line for line in text.splitlines() if line.startswith("| what |")]
    heads = [head.strip() for line in tables for head in line.split("|")[2:-1]]
    prefixes = tuple(f"{one} " for one in programs)
    names = [head for head in heads if head.startswith(prefixes)]
    return {name: {one: column(name).get(MEANINGS[one], "-") for one in MEASURED_NAMES} for name in names}


def column(name: str) -> dict[str, str]:
    """The cells of the page below this heading, by the words of their rows."""
    rows: Sequence[list[str]] = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in PAGE.read_text().splitlines()
        if line[:1] == "|"
    ]
    found, place = {}, None
    for row in rows:
        if row[0] == "what":
            place = row.index(name) if name in row else None
        elif place is not None and not row[0].startswith("-"):
            found[row[0]] = row[place]
    return found


if __name__ == "__main__":
    test = "tests/integration/test_stores_page.py"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test]
    sys.exit(subprocess.run(command, env={**os.environ, WRITING: "1"}).returncode)
