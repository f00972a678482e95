"""Every import contract of pyproject.toml is enforced: a violation planted in a copy of the package breaks it by name.

A planted violation is valid code: it uses its imports, and ruff and mypy accept it. So only the contract can find it.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
pytestmark = pytest.mark.xdist_group("planted")  # they share one run of import-linter
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONTRACTS: dict[str, dict[str, Any]] = {c["id"]: c for c in PYPROJECT["tool"]["importlinter"]["contracts"]}


@dataclass(frozen=True)
class Plant:
    """Files to add to the package, and the contract that they break."""

    contract: str
    label: str
    files: dict[str, str]


def module(code: str) -> str:
    return f'"""Planted by a test."""\n\n{code}'


def constant(package: str, name: str) -> tuple[str, str]:
    return f"mirrord/{package}/{name}.py", module("LIMIT = 5\n")


def using(dotted: str, name: str, code: str) -> str:
    return module(f"from {dotted} import {name}\n\n\n{code}")


def upward(contract: str, lower: str, higher: str) -> Plant:
    """A new module of a lower package that imports a new module of a higher package."""
    label = f"{contract}_{lower}_{higher}".replace("-", "_").replace(".", "_").replace("/", "_")
    path, content = constant(higher, f"used_by_{label}")
    user = using(
        f"mirrord.{higher.replace('/', '.')}.used_by_{label}", "LIMIT", "def doubled() -> int:\n    return 2 * LIMIT\n"
    )
    return Plant(contract, label, {path: content, f"mirrord/{lower}/uses_{label}.py": user})


def foreign(contract: str, package: str, dotted: str, name: str, code: str) -> Plant:
    """A new module that imports a library which a contract forbids for its package."""
    label = f"{contract}_{package}_{dotted}".replace("-", "_").replace(".", "_")
    return Plant(contract, label, {f"mirrord/{package}/uses_{label}.py": using(dotted, name, code)})


def adapters(contract: str) -> list[str]:
    return [dotted.removeprefix("mirrord.") for dotted in CONTRACTS[contract]["forbidden_modules"]]


IS_CLIENT_ERROR = "def is_client_error(error: Exception) -> bool:\n    return isinstance(error, ClientError)\n"
VERSION = "def version() -> str:\n    return sqlite_version\n"
CONNECTION = "def closed(connection: Connection) -> bool:\n    return connection.closed\n"
NOW = "def now(clock: Clock) -> float:\n    return clock.now()\n"
SESSION = "def session() -> AioSession:\n    return AioSession()\n"
CHECKSUM = "def checksum(body: bytes) -> int:\n    return crc32(body)\n"
CHANGE = "def added(change: Change) -> bool:\n    return change is Change.added\n"
SPAN = "def ends(span: Span) -> None:\n    span.end()\n"
CONNECTS = "def connects() -> bool:\n    return callable(start_connection)\n"
APPLICATION = "def application() -> Application:\n    return Application()\n"

CORE = ("reconcile", "scheduling", "folders")

PLANTS = [
    upward("layers", "s3", "transfer"),
    upward("layers", "planning", "reconcile"),
    upward("layers", "transfer", "daemon"),
    upward("layers", "reconcile", "cli"),
    upward("layers", "daemon", "demo"),
    upward("layers", "daemon", "programs"),
    upward("layers", "programs", "daemon"),
    upward("layers", "engine", "programs"),
    upward("layers", "web", "engine"),
    upward("layers", "journal", "telemetry"),
    upward("layers", "reconcile", "scheduling"),
    upward("layers", "scheduling", "folders"),
    upward("layers", "folders", "web"),
    Plant("layers", "planning_ports", {"mirrord/planning/uses_ports.py": using("mirrord.ports", "Clock", NOW)}),
    Plant("layers", "a_module_in_no_layer", {"mirrord/attic.py": module("LIMIT = 5\n")}),
    *(upward("transfer-adapters", "transfer", package) for package in adapters("transfer-adapters")),
    *(upward("core-adapters", package, adapter) for package in CORE for adapter in adapters("core-adapters")),
    *(upward("web-core", package, core) for package in ("web", "client") for core in CORE),
    *(
        upward("composition-root", program, adapter.replace(".", "/"))
        for program in ("daemon", "programs")
        for adapter in adapters("composition-root")
    ),
    *(upward("fakes", package, "testing") for package in ("engine", "daemon", "programs", "cli", "demo")),
    upward("source-kinds", "sources", "sources"),
    upward("journals", "journal", "journal"),
    upward("journals", "journal/sqlite", "journal"),
    foreign("pure", "planning", "time", "time", "def now() -> float:\n    return time()\n"),
    foreign("pure", "manifest", "asyncio", "Event", "def changed() -> Event:\n    return Event()\n"),
    foreign("pure", "planning", "socket", "gethostname", "def host() -> str:\n    return gethostname()\n"),
    foreign("pure", "manifest", "sqlite3", "sqlite_version", VERSION),
    foreign("pure", "planning", "mirrord.aio", "finish", "def known() -> bool:\n    return callable(finish)\n"),
    foreign("aiobotocore", "transfer", "aiobotocore.session", "AioSession", SESSION),
    foreign("aiobotocore", "sources", "botocore.exceptions", "ClientError", IS_CLIENT_ERROR),
    foreign("aiohttp", "transfer", "aiohttp", "ClientError", IS_CLIENT_ERROR),
    foreign("aiohttp", "daemon", "aiohttp.web", "Application", APPLICATION),
    foreign("aiohttp", "cli", "aiohttp", "ClientError", IS_CLIENT_ERROR),
    foreign("sql", "reconcile", "sqlite3", "sqlite_version", VERSION),
    foreign("sql", "engine", "psycopg", "Connection", CONNECTION),
    foreign("opentelemetry", "daemon", "opentelemetry.trace", "Span", SPAN),
    foreign("awscrt", "transfer", "awscrt.checksums", "crc32", CHECKSUM),
    foreign("aiohappyeyeballs", "transfer", "aiohappyeyeballs", "start_connection", CONNECTS),
    foreign("watchfiles", "reconcile", "watchfiles", "Change", CHANGE),
]


def plant(at: Path, *plants: Plant) -> None:
    shutil.copytree(ROOT / "mirrord", at / "mirrord", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", at)
    for path, content in (pair for one in plants for pair in one.files.items()):
        assert not (at / path).exists(), f"{path} exists already"
        (at / path).write_text(content)


def tool(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a development tool of this environment on the copy; `cwd` is first on sys.path."""
    environ = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1", "PYTHONPATH": "", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [str(BIN / command[0]), *command[1:]], cwd=cwd, env=environ, capture_output=True, text=True, timeout=240
    )


def lint_imports(cwd: Path) -> subprocess.CompletedProcess[str]:
    return tool("lint-imports", "--no-logo", "--no-cache", cwd=cwd)


def test_the_package_keeps_every_contract(tmp_path: Path) -> None:
    plant(tmp_path)
    done = lint_imports(tmp_path)
    assert done.returncode == 0, done.stdout
    for contract in CONTRACTS.values():
        assert f"{contract['name']} KEPT" in done.stdout


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report of import-linter on a copy with all violations; one run takes as long as for one violation."""
    at = tmp_path_factory.mktemp("planted")
    plant(at, *PLANTS)
    done = lint_imports(at)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def modules_named(report: str, contract: str) -> str:
    """The part of the report on one broken contract: from its underlined name to the next one."""
    names = "|".join(re.escape(one["name"]) for one in CONTRACTS.values())
    parts = re.split(rf"^({names})\n-+$", report, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True)).get(CONTRACTS[contract]["name"], "")


@pytest.mark.parametrize("one", PLANTS, ids=lambda one: one.label)
def test_a_planted_violation_breaks_its_contract_by_name(one: Plant, broken: str) -> None:
    assert f"{CONTRACTS[one.contract]['name']} BROKEN" in broken
    named = set(re.findall(r"[\w.]+", modules_named(broken, one.contract)))
    assert any(path.removesuffix(".py").replace("/", ".") in named for path in one.files), (
        "the report must name the planted module"
    )


def test_every_contract_has_a_planted_violation() -> None:
    assert {one.contract for one in PLANTS} == set(CONTRACTS)


def test_no_other_tool_objects_to_what_is_planted(tmp_path: Path) -> None:
    plant(tmp_path, *PLANTS)
    files = [path for one in PLANTS for path in one.files]
    for command in (["ruff", "check"], ["ruff", "format", "--check"], ["mypy", "--follow-imports=silent"]):
        done = tool(*command, "--cache-dir", str(tmp_path / "cache"), *files, cwd=tmp_path)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
