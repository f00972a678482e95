"""The formats of lists: from a line to a row. Pure.

Owns which format a list has, by its name, and the meaning of its lines. `.tsv` and `.csv` may begin with a header that
names their columns; a `.tsv` may be a list of Google's Storage Transfer Service (first line `TsvHttpData-1.0`, then
URL, length, base64 MD5). `.jsonl` has one object a line, `.txt` one URL. `SHA256SUMS` is a list of digests in the form
of coreutils or BSD (`planning.decisions.digests`), `PULP_MANIFEST` has lines `name,sha256,size`. Empty lines are
skipped, and except in `.jsonl` those that begin with `#`.
"""

import csv
import json
import re
from collections.abc import Callable, Sequence
from typing import Protocol

from mirrord.declared import ListSpec
from mirrord.planning.decisions.digests import listed_digest
from mirrord.planning.lists.rows import COLUMNS, ListRefused, ListRow, declared, refuse_similar, row_of

_STS = "TsvHttpData-"
_STS_COLUMNS = ("url", "size", "md5")
_OTHER_DIGEST = re.compile(r"\\?[A-Z][A-Z0-9/-]* ?\(.+\) ?= ?[0-9a-fA-F]+")
"""A line of another algorithm in BSD's form."""


class ListFormat(Protocol):
    """Reads the lines of one list, in order."""

    @property
    def closed(self) -> bool:
        """Whether each line, also the last one, ends with a line break: programs write such a list."""

    def row(self, line: str) -> ListRow | None:
        """The row in a line without its line break; None: there is none in it. ValueError: why it is a bad row.
        Raises ListRefused."""


def format_of(spec: ListSpec) -> ListFormat:
    """The format of a list, by its file name, which may end with `.gz`. ValueError: it has none."""
    if spec.prefix is not None:
        return PrefixFormat()
    name = _file_name(spec).casefold().removesuffix(".gz")
    made = _NAMES.get(name.removesuffix(".txt")) or _ENDINGS.get(name.rpartition(".")[2] if "." in name else "")
    if made is None:
        raise ValueError(f"the name of this list gives no format; known are {FORMATS}")
    return made()


def _file_name(spec: ListSpec) -> str:
    path = re.split(r"[?#]", spec.location, maxsplit=1)[0] if spec.by_url else spec.location
    return path.rpartition("/")[2]


class PrefixFormat:
    """The objects below a prefix, as `sources.stored.prefix` writes them: a JSON array of key, size and ETag a line."""

    closed = True

    def row(self, line: str) -> ListRow:
        key, size, etag = json.loads(line)
        return ListRow(key, key, named=True, listed=(size, etag))


class TableFormat:
    """Rows of columns. Without a header they are COLUMNS, and a row may have fewer; with one, each row has all."""

    closed = False

    def __init__(self, split: Callable[[str], Sequence[str]], *, sts: bool = False) -> None:
        self._split = split
        self._sts = sts
        self._columns: tuple[str, ...] | None = None
        self._exact = False

    def row(self, line: str) -> ListRow | None:
        """See ListFormat."""
        if not line or line.startswith("#") or line.isspace():
            return None
        if self._columns is None:
            self._columns = columns = self._header(line)
            if self._exact or columns is _STS_COLUMNS:
                return None
        else:
            columns = self._columns
        fields = self._split(line)
        if len(fields) > len(columns) or (self._exact and len(fields) < len(columns)):
            raise ValueError(f"it has {len(fields)} columns, expected were {len(columns)}")
        return row_of(dict(zip(columns, fields, strict=False)))

    def _header(self, line: str) -> tuple[str, ...]:
        if self._sts and line.startswith(_STS):
            if line.strip() != f"{_STS}1.0":
                raise ListRefused(f"is of another version than {_STS}1.0")
            return _STS_COLUMNS
        try:
            names = tuple(name.strip().casefold() for name in self._split(line))
        except ValueError:  # reported as that of a row
            return COLUMNS
        if "url" not in names:
            return COLUMNS
        self._exact = True
        try:
            refuse_similar(names)
        except ValueError as error:
            raise ListRefused(f"cannot be read: {error}") from None
        if repeated := [name for name in COLUMNS if names.count(name) > 1]:
            raise ListRefused(f"has several columns called {repeated[0]}")
        return names


class JsonLines:
    """One object a line. Other fields than those of COLUMNS are ignored."""

    closed = False

    def row(self, line: str) -> ListRow | None:
        """See ListFormat."""
        if not line or line.isspace():
            return None
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            raise ValueError("it is not valid JSON") from None
        if not isinstance(found, dict):
            raise ValueError("it is not a JSON object")
        refuse_similar([name for name in found if name not in COLUMNS])
        return row_of({name: _json_text(name, found.get(name)) for name in COLUMNS})


def _json_text(name: str, value: object) -> str:
    if value is None:
        return ""
    if name == "size" and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if name != "size" and isinstance(value, str):
        return value
    raise ValueError(f"its {name} is not a {'number' if name == 'size' else 'string'}")


class UrlLines:
    """One URL a line."""

    closed = False

    def row(self, line: str) -> ListRow | None:
        """See ListFormat."""
        line = line.strip()
        return ListRow(line) if line and not line.startswith("#") else None


class DigestLines:
    """A list of sha256 digests, which may be signed by PGP. Digests of other algorithms are ignored."""

    closed = True

    def __init__(self) -> None:
        self._skips_until: str | None = None

    def row(self, line: str) -> ListRow | None:
        """See ListFormat."""
        line = line.lstrip()
        if self._skips_until is not None:
            if line.rstrip() == self._skips_until:
                self._skips_until = None
            return None
        if not line or line.startswith("#"):
            return None
        if line.startswith("-----BEGIN PGP "):
            self._skips_until = "" if "SIGNED MESSAGE" in line else "-----END PGP SIGNATURE-----"
            return None
        found = listed_digest(line)  # a space at the end belongs to the name
        if found is not None:
            name, digest = found
            return ListRow(name, _key_of(name), declared(sha256=digest), named=True)
        if _OTHER_DIGEST.fullmatch(line.rstrip()):
            return None
        raise ValueError("it is not a sha256 digest with the name of a file")


class PulpLines:
    """`name,sha256,size`."""

    closed = True

    def row(self, line: str) -> ListRow | None:
        """See ListFormat."""
        if not line or line.isspace() or line.startswith("#"):
            return None
        name, *rest = line.rsplit(",", 2)
        rest = [text.strip() for text in rest]
        if not name or len(rest) != 2 or not all(rest):
            raise ValueError("it is not name,sha256,size")
        sha256, size = rest
        return ListRow(name, _key_of(name), declared(size=size, sha256=sha256), named=True)


def _key_of(name: str) -> str:
    return name.removeprefix("./")


def _csv_fields(line: str) -> Sequence[str]:
    try:
        return next(csv.reader((line,), strict=True))
    except (csv.Error, StopIteration) as error:
        raise ValueError(f"it is not valid CSV: {error}") from None


def _tsv_fields(line: str) -> Sequence[str]:
    return line.split("\t")


_NAMES: dict[str, Callable[[], ListFormat]] = {
    "sha256sums": DigestLines,
    "sha256sum": DigestLines,
    "pulp_manifest": PulpLines,
}
_ENDINGS: dict[str, Callable[[], ListFormat]] = {
    "tsv": lambda: TableFormat(_tsv_fields, sts=True),
    "csv": lambda: TableFormat(_csv_fields),
    "jsonl": JsonLines,
    "txt": UrlLines,
}
FORMATS = ".tsv, .csv, .jsonl, .txt, SHA256SUMS or PULP_MANIFEST"
"""The names of all formats, for messages."""
