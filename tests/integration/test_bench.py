"""The harness of `make bench`, with one tiny scenario: runs, counts at the sink, ratios and the table for the docs."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mirrord.units import KiB
from tests.bench.docs import filled
from tests.bench.measure import Measured, measured
from tests.bench.run import document_of, result_of
from tests.bench.scenarios import Scenario, StoreKind, Target
from tests.bench.tables import figures, page
from tests.bench.tools import MIRRORD

COUNT = 7
OTHER = replace(MIRRORD, name="the same again")
MISSING = replace(MIRRORD, name="not there", command=lambda _: [""])


def test_a_scenario_gives_counts_ratios_and_a_table(tmp_path: Path) -> None:
    scenario = Scenario("upload", 4 * KiB, COUNT, StoreKind.SINK, {OTHER: Target(1e9, 0.0), MISSING: Target()})
    result = result_of(scenario, tmp_path, pairs=1)
    ours, _parity, other, missing = result["tools"]
    for tool in (ours, other):
        assert not tool["error"]
        (run,) = tool["runs"]
        assert run["received"] == COUNT * 4 * KiB
        assert run["calls"]["PutObject"] == COUNT
        assert run["cpu_s"] > 0
        assert figures(tool)["calls"] == sum(run["calls"].values())
    assert missing["error"] == "not installed"
    written = json.loads(json.dumps(document_of([result], 1)))
    text = filled("<!-- bench: python -m tests.bench.docs -->old<!-- /bench --> rest", page(written))
    assert "old" not in text
    assert text.endswith("<!-- /bench --> rest")
    (row,) = [line for line in text.splitlines() if line.startswith("|  | the same again |")]
    assert "(≤ 0.0) | **not met** |" in row
    assert "not installed" in text


def test_a_result_without_all_bytes_does_not_count(tmp_path: Path) -> None:
    nothing = replace(MIRRORD, name="does nothing", command=lambda _: ["/bin/true"])
    scenario = Scenario("upload", 4 * KiB, COUNT, StoreKind.SINK, {nothing: Target()})
    results: list[Measured] = list(measured(scenario, tmp_path, 1, only=[nothing]))
    assert results[0].error == f"0 bytes arrived instead of {COUNT * 4 * KiB}"
    assert results[0].runs == []


def test_a_page_without_markers_is_an_error() -> None:
    with pytest.raises(ValueError, match="no <!-- bench"):
        filled("no markers", "")
