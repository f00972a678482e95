"""`make bench`: mirrord beside other tools for the same work, in alternating runs; tables and JSON.

`ARGS` of make are the arguments: names of scenarios (substrings), `--pairs`, `--scale` (0.01: a hundredth of the
objects, or of the size), `--json`. `--profile` shows where mirrord's CPU goes instead.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench.measure import as_json, measured
from tests.bench.scenarios import SCENARIOS, Scenario
from tests.bench.tables import summary
from tests.bench.tools import TOOLS
from tests.support.measuring import RESULTS, machine

PAIRS = 5


def result_of(scenario: Scenario, place: Path, pairs: int) -> dict[str, Any]:
    tools = [as_json(one) for one in measured(scenario, place, pairs)]
    targets = {tool.name: {"cpu": target.cpu, "wall": target.wall} for tool, target in scenario.against.items()}
    what = {"name": scenario.name, "store": scenario.store.value, "objects": scenario.count, "size": scenario.size}
    return {**what, "load": list(machine()["load"]), "targets": targets, "tools": tools}


def document_of(scenarios: list[dict[str, Any]], pairs: int) -> dict[str, Any]:
    """The result, with all that is needed to repeat and to judge it."""
    return {
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": machine(),
        "pairs": pairs,
        "versions": {tool.name: tool.version() for tool in TOOLS.values()},
        "integrity": {tool.name: tool.integrity for tool in TOOLS.values()},
        "scenarios": scenarios,
    }


def chosen(names: Sequence[str], scale: float) -> Sequence[Scenario]:
    """The scenarios whose full or scaled name contains one of `names`; all without names."""
    scaled = [(one, one.scaled(scale)) for one in SCENARIOS]
    return [small for one, small in scaled if not names or any(n in one.name or n in small.name for n in names)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of scenario names; default: all")
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--list", action="store_true", help="only print the names")
    given = parser.parse_args()
    scenarios = chosen(given.names, given.scale)
    if given.list:
        print("\n".join(one.name for one in scenarios))
        return
    document = document_of([], given.pairs)
    file = given.json or RESULTS / f"bench-{document['when'].replace(':', '')}.json"
    with tempfile.TemporaryDirectory(prefix="mirrord-bench-", ignore_cleanup_errors=True) as place:
        for scenario in scenarios:
            document["scenarios"].append(result_of(scenario, Path(place), given.pairs))
            written(file, document)  # after each: a run that is stopped keeps what it has
            print("\n" + summary({**document, "scenarios": document["scenarios"][-1:]}) + "\n", flush=True)
    print(summary(document))
    print(f"\n{file}")


def written(file: Path, document: Mapping[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
