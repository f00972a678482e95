"""`docker compose --profile monitoring` without Docker: each mount has what its program looks for there."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.prometheus import HAS_PROMETHEUS, MISSING_PROMETHEUS

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
ADDED = ("prometheus", "grafana")


def outside(service: str, path: str) -> Path:
    """The file or directory of the repository that a service sees at this path."""
    for volume in SERVICES[service]["volumes"]:
        source, inside, *_ = volume.split(":")
        if source.startswith("./") and (path == inside or path.startswith(f"{inside}/")):
            return ROOT / source / path[len(inside) :].lstrip("/")
    raise AssertionError(f"{service} has no mount with {path}")


def test_without_the_profile_nothing_else_starts() -> None:
    assert {name for name, service in SERVICES.items() if "profiles" in service} == set(ADDED)
    assert all(SERVICES[name]["profiles"] == ["monitoring"] for name in ADDED)


@pytest.mark.parametrize("name", ADDED)
def test_the_image_is_one_release(name: str) -> None:
    assert re.fullmatch(r"[\w/]+:v?\d+\.\d+\.\d+", SERVICES[name]["image"])


@pytest.mark.parametrize("name", ADDED)
def test_what_is_mounted_is_read_only_but_its_own_data(name: str) -> None:
    for volume in SERVICES[name]["volumes"]:
        assert volume.endswith(":ro") or volume.split(":")[0] in COMPOSE["volumes"], volume


def prometheus_config() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(outside("prometheus", "/etc/prometheus/prometheus.yml").read_text())
    return found


def test_prometheus_asks_mirrord_by_a_name_that_it_answers_to() -> None:
    (job,) = prometheus_config()["scrape_configs"]
    ((target,),) = [one["targets"] for one in job["static_configs"]]
    host, _, port = target.partition(":")
    assert host in SERVICES
    assert SERVICES["mirrord"]["environment"]["MIRRORD_HOSTS"] == host
    assert SERVICES["mirrord"]["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert job.get("metrics_path", "/metrics") == "/metrics"


def test_prometheus_has_the_rules() -> None:
    (pattern,) = prometheus_config()["rule_files"]
    directory, _, name = pattern.rpartition("/")
    found = [file.name for file in outside("prometheus", directory).glob(name)]
    assert found == ["mirrord.rules.yaml"]


def test_grafana_is_given_the_prometheus_of_the_composition() -> None:
    directory = outside("grafana", "/etc/grafana/provisioning/datasources")
    (file,) = directory.glob("*.yml")
    (source,) = yaml.safe_load(file.read_text())["datasources"]
    assert source["type"] == "prometheus"
    assert source["isDefault"] is True
    host, _, port = source["url"].removeprefix("http://").partition(":")
    assert SERVICES[host]["ports"] == [f"127.0.0.1:{port}:{port}"]


def test_grafana_is_given_the_dashboard() -> None:
    (file,) = outside("grafana", "/etc/grafana/provisioning/dashboards").glob("*.yml")
    (provider,) = yaml.safe_load(file.read_text())["providers"]
    assert provider["type"] == "file"
    boards = [json.loads(board.read_text()) for board in outside("grafana", provider["options"]["path"]).glob("*.json")]
    assert [board["uid"] for board in boards] == ["mirrord"]
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert outside("grafana", home).is_file()
    assert home.startswith(provider["options"]["path"])


@pytest.mark.skipif(not HAS_PROMETHEUS, reason=f"{MISSING_PROMETHEUS} is installed")
def test_promtool_accepts_the_configuration(tmp_path: Path) -> None:
    promtool, file = shutil.which("promtool"), tmp_path / "prometheus.yml"
    assert promtool
    config = prometheus_config()
    (pattern,) = config["rule_files"]
    directory, _, name = pattern.rpartition("/")
    config["rule_files"] = [f"{outside('prometheus', directory)}/{name}"]
    file.write_text(yaml.safe_dump(config))
    done = subprocess.run([promtool, "check", "config", file], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 rule files found" in done.stdout
