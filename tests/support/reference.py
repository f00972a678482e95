"""Generates the tables of docs/manifest.md and README.md from the schema, so that they cannot differ from it.

`python -m tests.support.reference` writes them between their markers; tests/integration/test_readme.py compares them.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mirrord.manifest.schema import not_yet
from mirrord.manifest.schema.json_schema import json_schema

ROOT = Path(__file__).parents[2]
README, MANIFEST = ROOT / "README.md", ROOT / "docs" / "manifest.md"
HEAD = ["| field | default | meaning |", "|---|---|---|"]

Schema = dict[str, Any]


def _definitions() -> dict[str, Schema]:
    definitions: dict[str, Schema] = json_schema()["$defs"]
    return definitions


def _forms(schema: Schema) -> Iterator[Schema]:
    """The alternatives of a field, without null."""
    for one in schema.get("anyOf", [schema]):
        if one.get("type") != "null":
            yield one


def _inner(schema: Schema) -> tuple[str, str] | None:
    """The section that a field contains, and the next step of its path: a plain field, in a list, or by name."""
    for one in _forms(schema):
        by_name = next(iter(one.get("patternProperties", {}).values()), {})
        for value, step in ((one, "."), (one.get("items", {}), "[]."), (by_name, ".NAME.")):
            if "$ref" in value:
                return str(value["$ref"]).rpartition("/")[2], step
    return None


def _default(schema: Schema) -> str:
    value = schema.get("default")
    if value in (None, [], {}) or isinstance(value, dict):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _meaning(schema: Schema) -> str:
    description = str(schema.get("description", "")).replace("|", "\\|")
    words = [word for one in _forms(schema) for word in one.get("enum", [])]
    return description + (f" One of {', '.join(f'`{word}`' for word in words)}." if words else "")


def _fields(definitions: dict[str, Schema], section: str, prefix: str = "") -> Iterator[tuple[str, str]]:
    """(dotted path, row of the table) of each field of a section and of the sections in it."""
    required = definitions[section].get("required", [])
    for name, schema in definitions[section]["properties"].items():
        path, inner = prefix + name, _inner(schema)
        if inner is None or "$ref" not in schema:
            shown = f"`{path}`{' *' if name in required else ''}"
            yield path, f"| {shown} | {_default(schema)} | {_meaning(schema)} |"
        if inner is not None:
            yield from _fields(definitions, inner[0], path + inner[1])


def _section(name: str, *, beyond: str | None = None, shared_with: str | None = None) -> list[str]:
    definitions = _definitions()
    rows = dict(_fields(definitions, name))
    other = dict(_fields(definitions, beyond or shared_with or name))
    if beyond:
        rows = {path: row for path, row in rows.items() if row != other.get(path)}
    if shared_with:
        rows = {path: row for path, row in rows.items() if row == other.get(path)}
    return [*HEAD, *rows.values()]


def _not_enforced() -> list[str]:
    return [f"  - `{field}: {default}` ({missing})" for field, default, missing in not_yet.promised_defaults()]


def _refused() -> list[str]:
    rows = [
        f"| `{field}` | {'all but the default' if row.whole else 'some values'} | {row.missing} |"
        for field, row in not_yet.NOT_YET.items()
    ]
    return ["| field | refused | what is missing |", "|---|---|---|", *rows]


TABLES: dict[str, tuple[Path, Callable[[], list[str]]]] = {
    "not-enforced": (README, _not_enforced),
    "not-yet": (MANIFEST, _refused),
    "daemon": (MANIFEST, lambda: _section("DaemonSection")),
    "store": (MANIFEST, lambda: _section("StoreSection")),
    "entry": (MANIFEST, lambda: _section("MirrorSection", shared_with="FolderSection")),
    "mirror": (MANIFEST, lambda: _section("MirrorSection", beyond="FolderSection")),
    "folder": (MANIFEST, lambda: _section("FolderSection", beyond="MirrorSection")),
}


def between(name: str) -> re.Pattern[str]:
    """The text between `<!-- name -->` and `<!-- /name -->`."""
    return re.compile(rf"(?<=<!-- {name} -->\n).*?(?=<!-- /{name} -->)", re.DOTALL)


def table(name: str) -> str:
    return "".join(f"{line}\n" for line in TABLES[name][1]())


def write() -> None:
    for name, (page, _) in TABLES.items():
        rows = table(name)
        text, count = between(name).subn(lambda _, rows=rows: rows, page.read_text())
        if count != 1:
            raise SystemExit(f"{page.name} has no table {name}")
        page.write_text(text)


if __name__ == "__main__":
    write()
