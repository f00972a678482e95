"""Runs the real helm on the chart, and the real kubeconform on what it renders.

Both work offline: the schemas of Kubernetes are in a package of PyPI. `make tools` installs all three; tests that
need them skip without.
"""

import json
import shutil
import subprocess
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "configs" / "helm" / "mirrord"
MISSING_HELM = "no helm"
VERSIONS = ("1.27.0", "1.37.0")
"""Of Kubernetes: the oldest that Chart.yaml allows, and the newest that the package has."""
_GO = Path.home() / "go" / "bin"


def _program(name: str) -> str | None:
    return shutil.which(name, path=str(_GO)) or shutil.which(name)


def _package() -> Path | None:
    return next(iter(sorted((ROOT / ".cache").glob("kubernetes_validate-*.whl"))), None)


HAS_HELM = all((_program("helm"), _program("kubeconform"), _package()))
needs_helm = pytest.mark.skipif(not HAS_HELM, reason=f"{MISSING_HELM}, kubeconform or schemas: make tools")


def helm(*arguments: object) -> subprocess.CompletedProcess[str]:
    program = _program("helm")
    assert program
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False)


def template(*values: Path, chart: Path = CHART, name: str = "mirrord", namespace: str = "mirrord") -> str:
    """The objects of a release, as YAML."""
    files = [argument for file in values for argument in ("--values", file)]
    done = helm("template", name, chart, "--namespace", namespace, *files)
    assert done.returncode == 0, done.stderr
    return done.stdout


def objects(rendered: str) -> dict[str, dict[str, Any]]:
    """The objects by kind; each kind is there once."""
    found = [one for one in yaml.safe_load_all(rendered) if one]
    by_kind = {one["kind"]: one for one in found}
    assert len(by_kind) == len(found)
    return by_kind


def unpack_schemas(directory: Path) -> None:
    """The strict schemas of `VERSIONS`, as `v1.27.0-local-strict/deployment-apps-v1.json`."""
    package = _package()
    assert package
    with zipfile.ZipFile(package) as archive:
        for name in archive.namelist():
            version, _, file = name.removeprefix("kubernetes_validate/kubernetes-json-schema/").partition("/")
            if file and version in {f"v{one}-local-strict" for one in VERSIONS}:
                (directory / version).mkdir(exist_ok=True)
                # They name a server that kubeconform would ask: without `$schema` it ignores `$id`.
                text = archive.read(name).replace(b'"/api/_definitions.json', b'"_definitions.json')
                (directory / version / file).write_bytes(text.replace(b'"$schema":', b'"$comment":'))


def faults(schemas: Path, version: str, files: Iterable[Path]) -> list[str]:
    """What kubeconform finds; a kind without a schema is a fault. `schemas` also has those of other kinds."""
    program = _program("kubeconform")
    assert program
    name = "{{ .ResourceKind }}{{ .KindSuffix }}.json"
    places = (f"{schemas}/v{version}-local-strict/{name}", f"{schemas}/{name}")
    locations = [argument for one in places for argument in ("-schema-location", one)]
    options = ["-strict", "-verbose", "-output", "json", "-kubernetes-version", version, *locations]
    files = [str(file) for file in files]
    done = subprocess.run([program, *options, *files], capture_output=True, text=True, timeout=60, check=False)
    checked = json.loads(done.stdout)["resources"]
    assert {one["filename"] for one in checked} == set(files), done.stdout + done.stderr
    return [f"{one['filename']}: {one['kind']}: {one['msg']}" for one in checked if one["status"] != "statusValid"]
