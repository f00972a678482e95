"""`make bench`: mirrord beside other tools for the same work, in alternating runs; tables and JSON.

`ARGS` of make are the arguments: names of scenarios (substrings), `--pairs`, `--scale` (0.01: a hundredth of the
objects, or of the size), `--json`. `--profile` adds one run of mirrord with a profiler to each scenario.
"""

import argparse
import compileall
import json
import marshal
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mirrord.units import KiB
from tests.bench import latency, queues, stall
from tests.bench.measure import as_json, made, measured
from tests.bench.profiled import shares
from tests.bench.scenarios import SCENARIOS, Scenario, StoreKind
from tests.bench.tables import page, summary
from tests.bench.tools import MIRRORD, REPOSITORY, TOOLS, profiled
from tests.support.measuring import RESULTS, machine

PAIRS = 5


def profile_of(scenario: Scenario, place: Path) -> list[tuple[str, float]]:
    """Shares of CPU by package in one run of mirrord."""
    output = place / "profile"
    (result,) = measured(scenario, place, 1, only=[profiled(output)])
    if result.error:
        raise RuntimeError(result.error)
    return shares(marshal.loads(output.read_bytes()))


def result_of(scenario: Scenario, place: Path, pairs: int, tools: Sequence[str] = ()) -> dict[str, Any]:
    """The result of one scenario. `tools`: only mirrord, and the tools whose name contains one of these."""
    only = [one for one in scenario.tools if one is MIRRORD or wanted(tools, one.name)]
    results = [as_json(one) for one in measured(scenario, place, pairs, only)]
    targets = {tool.name: {"cpu": target.cpu, "wall": target.wall} for tool, target in scenario.against.items()}
    what = {"name": scenario.name, "store": scenario.store.value, "objects": scenario.count, "size": scenario.size}
    return {**what, "load": list(machine()["load"]), "targets": targets, "tools": results}


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
    return [small for one, small in scaled if wanted(names, one.name) or wanted(names, small.name)]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of scenario names; default: all")
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--tools", nargs="*", default=[], help="parts of names of other tools; default: all")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--list", action="store_true", help="only print the names")
    return parser.parse_args()


def other_results(given: argparse.Namespace, place: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The measurements of the running daemon and of queues in PostgreSQL, by their keys in the document."""
    if wanted(given.names, stall.NAME):
        count = max(20, round(stall.FILES * given.scale))
        files = made(Scenario("stall", 4 * KiB, count, StoreKind.ECHO, {}), place / "sources").directory
        yield "stall", stall.measured(place / "stall", files, count)
    if wanted(given.names, latency.NAME):
        yield "latency", latency.measured(place / "latency", given.pairs)
    if queues.chosen(given.names):
        yield queues.NAME, queues.measured(given.names, given.pairs, given.scale)


def main() -> None:
    given = arguments()
    scenarios = chosen(given.names, given.scale)
    if given.list:
        print("\n".join([*(one.name for one in scenarios), stall.NAME, latency.NAME, *queues.full_names()]))
        return
    compileall.compile_dir(REPOSITORY / "mirrord", quiet=1)  # as pip does when it installs a package
    document = document_of([], given.pairs)
    file = given.json or RESULTS / f"bench-{document['when'].replace(':', '')}.json"
    with tempfile.TemporaryDirectory(prefix="mirrord-bench-", ignore_cleanup_errors=True) as name:
        place = Path(name)
        for scenario in scenarios:
            document["scenarios"].append(result_of(scenario, place, given.pairs, given.tools))
            if given.profile:
                document["scenarios"][-1]["profile"] = profile_of(scenario, place)
            written(file, document)  # after each: a run that is stopped keeps what it has
            print("\n" + summary({**document, "scenarios": document["scenarios"][-1:]}) + "\n", flush=True)
        for key, result in other_results(given, place):
            document[key] = result
            written(file, document)
    print(page(document))
    print(f"\n{file}")


def wanted(names: Sequence[str], name: str) -> bool:
    return not names or any(part in name for part in names)


def written(file: Path, document: Mapping[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
