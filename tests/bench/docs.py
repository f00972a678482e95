"""Writes results of `make bench` into docs/benchmarks.md: `python -m tests.bench.docs [RESULT.json …]`.

Only the text between the two markers changes. Without an argument it takes the newest result below tests/bench/results;
of several, each scenario is that of the last one that has it.
"""

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench.tables import page
from tests.bench.tools import REPOSITORY
from tests.support.measuring import RESULTS

PAGE = REPOSITORY / "docs" / "benchmarks.md"
_BEGIN, _END = "<!-- bench -->", "<!-- /bench -->"


def filled(text: str, inner: str) -> str:
    """`text` with `inner` between the markers. ValueError: it has no markers."""
    done, count = re.subn(f"{_BEGIN}.*{_END}", lambda _: f"{_BEGIN}\n{inner}\n{_END}", text, count=1, flags=re.DOTALL)
    if not count:
        raise ValueError(f"the page has no {_BEGIN} with {_END}")
    return done


def merged(documents: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One document of several runs on the same machine; facts and versions are those of the last."""
    scenarios = {one["name"]: one for document in documents for one in document["scenarios"]}
    whole: dict[str, Any] = {}
    for document in documents:
        whole |= document
    return {**whole, "scenarios": list(scenarios.values())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, nargs="*")
    parser.add_argument("--page", type=Path, default=PAGE)
    given = parser.parse_args()
    results = given.results or [max(RESULTS.glob("bench-*.json"), key=lambda file: file.stat().st_mtime)]
    document = merged([json.loads(result.read_text()) for result in results])
    given.page.write_text(filled(given.page.read_text(), page(document)))
    print(f"{given.page}: {', '.join(map(str, results))}")


if __name__ == "__main__":
    main()
