"""The alert rules, the dashboard and their documents: they use only metrics and labels that exist."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import metrics_page
from tests.support.prometheus import HAS_PROMETHEUS, MISSING_PROMETHEUS, RULES, shortened

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "configs" / "grafana" / "mirrord.json"
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
OF_A_SCRAPE = {"job", "instance"}
OF_THE_PROCESS = {"process_resident_memory_bytes"}
"""Metrics of others that queries use."""
_METRIC = re.compile(r"\b([a-z]+_[a-z_]+)\b(?!\s*\()(\{[^}]*\})?")
_GROUPED = re.compile(r"\b(?:by|on|without|ignoring) ?\(([^)]*)\)")


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def queries() -> Iterator[tuple[str, str]]:
    """(where, PromQL) of the rules, of the dashboard and of docs/metrics.md."""
    for rule in rules():
        yield rule["alert"], rule["expr"]
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    yield from metrics_page.QUERIES.items()


def of_family(name: str) -> str:
    """The name without the suffix of a histogram's series."""
    return re.sub(r"_(bucket|sum|count)$", "", name) if name.endswith(("_bucket", "_sum", "_count")) else name


@pytest.mark.parametrize(("where", "query"), [pytest.param(*one, id=one[0]) for one in queries()])
def test_a_query_uses_only_metrics_and_labels_that_exist(where: str, query: str) -> None:
    known, used = metrics_page.labels_of(), set[str]()
    bare = _GROUPED.sub("", query)
    for name, selector in _METRIC.findall(re.sub(r'"[^"]*"', '""', bare)):
        if name in OF_THE_PROCESS:
            continue
        assert of_family(name) in known, name
        labels = set(known[of_family(name)]) | OF_A_SCRAPE | ({"le"} if name.endswith("_bucket") else set())
        assert set(re.findall(r"(\w+)(?==|!|=~)", selector)) <= labels, (name, selector)
        used |= labels
    assert used, query
    grouped = {label.strip() for found in _GROUPED.findall(query) for label in found.split(",")}
    assert grouped <= used, grouped - used


def test_every_metric_is_on_the_dashboard() -> None:
    text = DASHBOARD.read_text()
    assert [name for name in metrics_page.labels_of() if name not in text] == []


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_says_what_it_means_and_where_to_read_more(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"warning", "critical"}
    said = rule["annotations"]
    assert said["summary"]
    assert said["description"].endswith(".")
    anchor = said["runbook_url"].removeprefix("https://mirrord.example/docs/runbook.html#")
    section = re.search(rf"^## {rule['alert']}\n(.*?)(?=^## |\Z)", RUNBOOK, re.MULTILINE | re.DOTALL)
    assert anchor == rule["alert"].lower()
    assert section is not None
    assert all(f"**{word}.**" in section[1] for word in ("Means", "Look at", "Fix"))


def test_the_runbook_has_no_other_alert() -> None:
    assert re.findall(r"^## (.*)$", RUNBOOK, re.MULTILINE) == [rule["alert"] for rule in rules()]


def test_the_dashboard_is_a_config_map_for_the_sidecar() -> None:
    given = yaml.safe_load((DASHBOARD.parent / "kustomization.yaml").read_text())
    assert given["configMapGenerator"] == [{"name": "mirrord-dashboard", "files": [DASHBOARD.name]}]
    assert given["generatorOptions"]["labels"] == {"grafana_dashboard": "1"}
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(one["datasource"]["uid"] == "${datasource}" for panel in panels for one in (panel, *panel["targets"]))


@pytest.mark.skipif(not HAS_PROMETHEUS, reason=f"{MISSING_PROMETHEUS} is installed")
@pytest.mark.parametrize("short", [False, True])
def test_promtool_accepts_the_rules(tmp_path: Path, short: bool) -> None:
    promtool, file = shutil.which("promtool"), tmp_path / "rules.yaml"
    assert promtool
    file.write_text(shortened(RULES.read_text()) if short else RULES.read_text())
    done = subprocess.run([promtool, "check", "rules", file], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, f"{len(rules())} rules found" in done.stdout) == (0, True), done.stdout + done.stderr
