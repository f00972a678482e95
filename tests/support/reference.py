"""Generates the tables of the pages: of docs/manifest.md and README.md from the schema, of docs/providers.md from the
profiles, of docs/metrics.md from the registry, others by `page_tables`. So they cannot differ.

`python -m tests.support.reference` writes them between their markers; tests/integration/test_readme.py compares them.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mirrord.manifest.schema import not_yet
from mirrord.manifest.schema.json_schema import json_schema
from mirrord.model import ProviderName
from mirrord.providers import facts_of
from mirrord.providers.facts import MEANINGS, FactName, FactSheet, FactValue
from mirrord.units import MiB, format_size
from tests.support import metrics_page, page_tables

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README, MANIFEST, PROVIDERS = ROOT / "README.md", DOCS / "manifest.md", DOCS / "providers.md"
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
    return ["| field | refused | what is missing |", "|---|---|---|", *rows] if rows else ["None."]


def _cell(value: FactValue) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return format_size(value) if value >= MiB else f"{value:,}"
    return value if isinstance(value, str) else "; ".join(value)


def _addresses() -> list[str]:
    rows = ["| `provider` | product | `endpoint_url` if it is absent | `region` if it is absent |", "|---|---|---|---|"]
    for name in ProviderName:
        known = facts_of(name)
        address, region = known.text(FactName.ENDPOINT), known.text(FactName.DEFAULT_REGION)
        needs = "must be given" if address and "{region}" in address and name is not ProviderName.AWS else ""
        rows.append(f"| `{name}` | {known.title} | {f'`{address}`' if address else ''} | {region or needs} |")
    return rows


def _meanings() -> list[str]:
    return ["| fact | meaning |", "|---|---|", *(f"| {name} | {MEANINGS[name]} |" for name in FactName)]


def _facts_of(known: FactSheet) -> list[str]:
    rows = [f"### {known.title}: `{known.name}`", ""]
    if known.facts:
        rows += ["| fact | value | source |", "|---|---|---|"]
        for name in FactName:
            if fact := known.facts.get(name):
                value = _cell(fact.value).replace("|", "\\|")
                rows.append(f"| {name} | {value} | {fact.source} |")
        rows.append("")
    unknown = ", ".join(name for name in FactName if name not in known.facts)
    return [*rows, f"Unknown: {unknown}.", ""]


def _all_facts() -> list[str]:
    return [row for name in ProviderName for row in _facts_of(facts_of(name))]


TABLES: dict[str, tuple[Path, Callable[[], list[str]]]] = {
    "not-enforced": (README, _not_enforced),
    "not-yet": (MANIFEST, _refused),
    "daemon": (MANIFEST, lambda: _section("DaemonSection")),
    "store": (MANIFEST, lambda: _section("StoreSection")),
    "entry": (MANIFEST, lambda: _section("MirrorSection", shared_with="FolderSection")),
    "mirror": (MANIFEST, lambda: _section("MirrorSection", beyond="FolderSection")),
    "folder": (MANIFEST, lambda: _section("FolderSection", beyond="MirrorSection")),
    "addresses": (PROVIDERS, _addresses),
    "meanings": (PROVIDERS, _meanings),
    "facts": (PROVIDERS, _all_facts),
    "exit-codes": (DOCS / "exit-codes.md", page_tables.exit_codes),
    "exit-codes-by-command": (DOCS / "exit-codes.md", page_tables.exit_codes_by_command),
    "command-lines": (DOCS / "cli.md", page_tables.command_lines),
    "events": (DOCS / "events.md", page_tables.events),
    "reasons": (DOCS / "reasons.md", page_tables.reasons),
    "variables": (DOCS / "variables.md", page_tables.variables),
    "metrics": (DOCS / "metrics.md", metrics_page.rows),
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
