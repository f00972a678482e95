"""What several tests need is in `tests/support`: no test module imports another one. `tests/bench` is a program."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
MODULES = sorted(path for path in TESTS.rglob("*.py") if TESTS / "support" not in path.parents)


def imported(tree: ast.Module) -> Iterator[str]:
    """The full names of the modules, and of what is taken from them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)


def breaches(tree: ast.Module) -> list[str]:
    """Imports of tests that are no part of `tests.support` or of the program in `tests.bench`."""
    names = (name for name in imported(tree) if name.startswith((".", "tests")))
    allowed = ("tests.support.", "tests.bench.")
    return [name for name in names if not name.startswith(allowed) or ".test_" in name]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(TESTS)))
def test_it_imports_no_test_module(path: Path) -> None:
    assert breaches(ast.parse(path.read_text())) == []


@pytest.mark.parametrize(
    "source",
    [
        "from tests.unit.test_a import world",
        "from tests.unit import test_a",
        "import tests.unit.test_a",
        "from . import b",
        "from tests.bench.test_a import world",
        "from tests.support.test_a import world",
    ],
)
def test_a_breach_is_seen(source: str) -> None:
    assert breaches(ast.parse(source))


def test_support_is_allowed() -> None:
    assert not breaches(ast.parse("from tests.support import origin\nfrom tests.support.weed import Server"))
