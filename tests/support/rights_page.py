"""Reads docs/rights.md: its table, and its policies."""

import json
import re
from typing import Any

from tests.support.preloaded import REPOSITORY


def _page() -> str:
    return (REPOSITORY / "docs" / "rights.md").read_text()


def documents() -> dict[str, Any]:
    """Each policy of the page, by the heading above it."""
    found = re.findall(r"### `(\S+)`.*?```json\n(.*?)```", _page(), re.DOTALL)
    return {name: json.loads(text) for name, text in found}


def policies() -> dict[str, list[str]]:
    """The actions of each policy."""
    return {
        name: [action for part in document["Statement"] for action in part["Action"]]
        for name, document in documents().items()
    }


def table() -> tuple[list[str], dict[str, dict[str, str]]]:
    """The columns, and the cells of each row by column."""
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in _page().partition("\n\n- ")[0].splitlines()
        if line[:1] == "|"
    ]
    (_, *given), _, *rows = lines
    columns = [one.strip("`") for one in given]
    return columns, {row[0]: dict(zip(columns, row[1:], strict=True)) for row in rows}
