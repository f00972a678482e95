"""The SQL files of a backend: its statements by name, and its migrations in order."""

import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import NamedTuple

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


class Migration(NamedTuple):
    version: int
    script: str


def statements_of(package: str) -> Mapping[str, str]:
    """The statements of the package's `queries.sql` by name."""
    names_and_texts = _NAME.split((files(package) / "queries.sql").read_text("utf-8"))
    return dict(zip(names_and_texts[1::2], names_and_texts[2::2], strict=True))


def migrations_of(package: str) -> Sequence[Migration]:
    """Every migration in order. Its version is the number at the start of its file's name."""
    found = [file for file in (files(package) / "migrations").iterdir() if file.name.endswith(".sql")]
    return sorted(Migration(int(file.name.partition("_")[0]), file.read_text("utf-8")) for file in found)
