"""The locks install what pyproject.toml and the bench ask for, by hash, from wherever the person's pip looks."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
RUNTIME, DEV, BENCH = "requirements.lock", "requirements-dev.lock", "tests/bench/requirements.txt"
PEERS = (ROOT / "tests/bench/requirements.in").read_text().splitlines()
PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+)(?: ; (?P<marker>.+?))?(?: \\)?$")

ASKED = {
    RUNTIME: PROJECT["dependencies"]
    + PROJECT["optional-dependencies"]["embedded"]
    + PROJECT["optional-dependencies"]["postgres"]
    + PYPROJECT["dependency-groups"]["build"],
    DEV: PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"] + PYPROJECT["dependency-groups"]["build"],
    BENCH: PEERS,
}
# Imported through the library that brings it and pins it tightly, so that a bound of our own could only conflict.
BROUGHT_BY = {"botocore": "aiobotocore", "yarl": "aiohttp", "multidict": "aiohttp", "pydantic_core": "pydantic"}


def pins(lock: str) -> dict[str, str]:
    found = (PIN.match(line) for line in (ROOT / lock).read_text().splitlines() if not line.startswith((" ", "#")))
    return {canonicalize_name(pin["name"]): pin["version"] for pin in found if pin}


@pytest.mark.parametrize("lock", [RUNTIME, DEV, BENCH])
def test_every_line_is_a_pin_with_hashes_and_no_place(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert not re.search(r"^\s*-[-a-z]*(index|find-links|trusted)", text, re.MULTILINE)
    for block in re.split(r"\n(?=\S)", text.partition("make lock\n")[2].strip()):
        first, *hashes = block.splitlines()
        assert PIN.match(first), first
        assert hashes, f"{first} has no hash"
        assert all(re.fullmatch(r" +--hash=sha256:[0-9a-f]{64}(?: \\)?", line) for line in hashes), first


@pytest.mark.parametrize("lock", [RUNTIME, DEV, BENCH])
def test_the_lock_answers_what_pyproject_asks(lock: str) -> None:
    locked = pins(lock)
    for text in ASKED[lock]:
        asked = Requirement(text)
        if asked.name == PROJECT["name"]:
            continue
        assert asked.specifier, f"{text} has no bounds"
        version = locked.get(canonicalize_name(asked.name))
        assert version, f"{text} is not in {lock}: run `make lock`"
        assert asked.specifier.contains(version), f"{text} is locked at {version}: run `make lock`"


def test_the_development_lock_holds_the_runtime_lock() -> None:
    """`make test` then `make demo` installs nothing twice, and what is tested is what runs."""
    assert pins(RUNTIME).items() <= pins(DEV).items()


def running(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node but those that only a type checker sees."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield node
            yield from running(node)


def imported(*folders: str) -> dict[str, set[str]]:
    """Each library imported at run time below the folders, with the files that do."""
    found: dict[str, set[str]] = {}
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in running(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level and node.module:
                names = [node.module]
            for name in names:
                found.setdefault(name.partition(".")[0], set()).add(str(path.relative_to(ROOT)))
    ours = sys.stdlib_module_names | {"mirrord", "tests"}
    return {name: files for name, files in found.items() if name not in ours}


@pytest.mark.parametrize(
    ("folders", "extras"),
    [
        (("mirrord",), ("embedded", "otel", "postgres")),
        (("mirrord", "tests", "configs"), ("embedded", "otel", "postgres", "dev")),
    ],
)
def test_every_library_that_is_imported_is_declared(folders: tuple[str, ...], extras: tuple[str, ...]) -> None:
    asked = PROJECT["dependencies"] + [one for extra in extras for one in PROJECT["optional-dependencies"][extra]]
    asked += PEERS if "tests" in folders else []
    declared = {canonicalize_name(Requirement(text).name) for text in asked}
    brings = packages_distributions()
    for name, files in imported(*folders).items():
        distributions = {canonicalize_name(one) for one in brings.get(name, [])} | {BROUGHT_BY.get(name, name)}
        assert distributions & declared, f"{name}, imported by {sorted(files)}, is not declared"
