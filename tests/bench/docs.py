"""Writes the result of `make bench` into docs/benchmarks.md: `python -m tests.bench.docs [RESULT.json]`.

Only the text between the two markers changes. Without an argument it takes the newest result below tests/bench/results.
"""

import argparse
import json
import re
from pathlib import Path

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("result", type=Path, nargs="?")
    parser.add_argument("--page", type=Path, default=PAGE)
    given = parser.parse_args()
    result = given.result or max(RESULTS.glob("bench-*.json"), key=lambda file: file.stat().st_mtime)
    given.page.write_text(filled(given.page.read_text(), page(json.loads(result.read_text()))))
    print(f"{given.page}: {result}")


if __name__ == "__main__":
    main()
