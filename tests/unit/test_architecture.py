"""Rules that import-linter cannot express, read from the syntax tree of every module of mirrord.

Each rule is a function from one module's tree to its violations; each is also tested on code that breaks it.
"""

import ast
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "mirrord"
MODULES = sorted(PACKAGE.rglob("*.py"))
SUBMODULES = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()} - {
    "__init__",
    "__pycache__",
}

Rule = Callable[[str, ast.Module], Iterator[str]]

EXITS = frozenset({"print", "exit", "quit", "sys.exit", "os._exit", "os.abort", "SystemExit"})
CHILDS_EXITS = {"mirrord.s3.embedded.weed": {"os._exit"}}  # between fork and exec, in a child whose parent is gone
CLIENT_NAMES = re.compile(r"Client\w*|request|\w*Connector|TraceConfig|CookieJar|DummyCookieJar|client\w*|connector")


def parsed(source: str) -> ast.Module:
    """The syntax tree. CPython 3.11 may miscount its depth beside other threads (gh-106905): then once more."""
    try:
        return ast.parse(source)
    except (RecursionError, SystemError):
        return ast.parse(source)


def package(module: str) -> str:
    return module.split(".")[1] if "." in module else module


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def prints_or_exits(module: str, tree: ast.Module) -> Iterator[str]:
    """Only cli (and the `__main__` that calls it) prints or ends the process."""
    if package(module) in {"cli", "__main__"}:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and dotted(node.func) in EXITS - CHILDS_EXITS.get(module, set()):
            yield f"line {node.lineno} calls {dotted(node.func)}"
        if isinstance(node, ast.Raise) and node.exc is not None and dotted(node.exc) == "SystemExit":
            yield f"line {node.lineno} raises SystemExit"
        if isinstance(node, ast.ImportFrom) and node.module == "sys" and any(a.name == "exit" for a in node.names):
            yield f"line {node.lineno} imports sys.exit"


def imports_the_bare_package(module: str, tree: ast.Module) -> Iterator[str]:
    """`import mirrord` loads the public face, which belongs to users; inside, modules are named."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import) and any(alias.name == "mirrord" for alias in node.names):
            yield f"line {node.lineno} imports mirrord"
        if isinstance(node, ast.ImportFrom):
            if node.level:
                yield f"line {node.lineno} imports relatively"
            elif node.module == "mirrord" and not SUBMODULES.issuperset(alias.name for alias in node.names):
                yield f"line {node.lineno} imports a public name from mirrord itself"


def aiohttp_names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "aiohttp":
            submodule = node.module.partition(".")[2]
            yield from ((node.lineno, submodule or alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name[8:]) for alias in node.names if alias.name.startswith("aiohttp."))
            yield from (
                (node.lineno, f"{alias.name} as {alias.asname}")
                for alias in node.names
                if alias.name == "aiohttp" and alias.asname
            )
        elif isinstance(node, ast.Attribute) and dotted(node.value) == "aiohttp":
            yield node.lineno, node.attr


SERVERS = frozenset({"web", "demo"})


def mixes_aiohttp_sides(module: str, tree: ast.Module) -> Iterator[str]:
    """web serves and nothing else does; an alias of the package would hide which side is meant."""
    for line, name in aiohttp_names(tree):
        serves = name.split(".")[0].split("_")[0] == "web"
        if " as " in name:
            yield f"line {line} hides aiohttp behind an alias"
        elif serves and package(module) not in SERVERS:
            yield f"line {line} uses aiohttp's server ({name})"
        elif package(module) in SERVERS and CLIENT_NAMES.fullmatch(name):
            yield f"line {line} uses aiohttp's client ({name})"


CODE_FROM_DATA = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle", "code", "pty"}
RUNS_TEXT = {"eval", "exec", "compile", "os.system", "os.popen", "yaml.load", "yaml.load_all", "tempfile.mktemp"}
UNSAFE_YAML = re.compile(r"(full|unsafe)_load(_all)?|(Full|Unsafe|CFull|CUnsafe|C)?Loader")
SHELLS = {"create_subprocess_shell", "getoutput", "getstatusoutput"}
OF_OUR_OWN = {
    "mirrord.frozen": {"exec"},  # text made of a class's field names, as the standard library's dataclasses do
    "mirrord.planning.lists.listed_rows": {"marshal"},  # the same
    "mirrord.sources.list.spool": {"marshal"},  # rows that this process packed, in its memory
}


def unsafe_imports(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
    yield from (module for module in modules if module.split(".")[0] in CODE_FROM_DATA)
    if isinstance(node, ast.ImportFrom):
        for name in (alias.name for alias in node.names):
            if f"{node.module}.{name}" in RUNS_TEXT or name in SHELLS:
                yield f"{node.module}.{name}"
            if node.module and node.module.split(".")[0] == "yaml" and UNSAFE_YAML.fullmatch(name):
                yield f"yaml.{name}"


def runs_data_as_code(module: str, tree: ast.Module) -> Iterator[str]:
    """Nothing that mirrord reads can become code: no pickle, no evaluated text, no unsafe YAML loader, no shell."""
    allowed = OF_OUR_OWN.get(module, set())
    for node in ast.walk(tree):
        found: Iterator[str] | list[str] = []
        if isinstance(node, ast.Import | ast.ImportFrom):
            found = unsafe_imports(node)
        elif isinstance(node, ast.Attribute):
            of_yaml = isinstance(node.value, ast.Name) and node.value.id == "yaml" and UNSAFE_YAML.fullmatch(node.attr)
            found = [dotted(node)] if of_yaml or node.attr in SHELLS else []
        elif isinstance(node, ast.Call):
            found = [dotted(node.func)] if dotted(node.func) in RUNS_TEXT else []
            found += ["shell"] if any(keyword.arg == "shell" for keyword in node.keywords) else []
        yield from (f"line {getattr(node, 'lineno', 0)} uses {name}" for name in found if name not in allowed)


RULES: list[Rule] = [prints_or_exits, imports_the_bare_package, mixes_aiohttp_sides, runs_data_as_code]

BREACHES: list[tuple[Rule, str, str]] = [
    (prints_or_exits, "mirrord.transfer", "print('done')"),
    (prints_or_exits, "mirrord.daemon.run", "import sys\nsys.exit(1)"),
    (prints_or_exits, "mirrord.daemon.run", "from sys import exit"),
    (prints_or_exits, "mirrord.s3.embedded.store", "raise SystemExit(3)"),
    (prints_or_exits, "mirrord.s3.embedded.store", "import os\nos._exit(1)"),
    (prints_or_exits, "mirrord.s3.embedded.store", "raise SystemExit"),
    (imports_the_bare_package, "mirrord.web.page", "import mirrord"),
    (imports_the_bare_package, "mirrord.web.page", "from mirrord import __version__"),
    (imports_the_bare_package, "mirrord.web.page", "from .page import x"),
    (mixes_aiohttp_sides, "mirrord.sources.http", "from aiohttp import web"),
    (mixes_aiohttp_sides, "mirrord.sources.http", "import aiohttp\nasync def f(): aiohttp.web.Application()"),
    (mixes_aiohttp_sides, "mirrord.sources.http", "import aiohttp.web_runner"),
    (mixes_aiohttp_sides, "mirrord.sources.http", "import aiohttp as a"),
    (mixes_aiohttp_sides, "mirrord.web.page", "from aiohttp import ClientSession"),
    (mixes_aiohttp_sides, "mirrord.web.page", "from aiohttp.client_exceptions import ClientError"),
    (mixes_aiohttp_sides, "mirrord.web.page", "import aiohttp\ndef f(): aiohttp.TCPConnector()"),
    (runs_data_as_code, "mirrord.journal.sqlite", "import pickle"),
    (runs_data_as_code, "mirrord.journal.sqlite", "from marshal import loads"),
    (runs_data_as_code, "mirrord.manifest.load", "import yaml\nyaml.load('a', Loader=yaml.SafeLoader)"),
    (runs_data_as_code, "mirrord.manifest.load", "from yaml import load"),
    (runs_data_as_code, "mirrord.manifest.load", "import yaml\nyaml.unsafe_load('a')"),
    (runs_data_as_code, "mirrord.manifest.load", "import yaml\nx = yaml.CLoader"),
    (runs_data_as_code, "mirrord.manifest.load", "from yaml import FullLoader"),
    (runs_data_as_code, "mirrord.s3.embedded.weed", "import subprocess\nsubprocess.run('ls', shell=True)"),
    (runs_data_as_code, "mirrord.s3.embedded.weed", "import asyncio\nasyncio.create_subprocess_shell('ls')"),
    (runs_data_as_code, "mirrord.cli.main", "import os\nos.system('ls')"),
    (runs_data_as_code, "mirrord.cli.main", "from os import popen"),
    (runs_data_as_code, "mirrord.planning.items", "eval('1')"),
    (runs_data_as_code, "mirrord.model.items", "exec('x = 1')"),
]

ALLOWED: list[tuple[Rule, str, str]] = [
    (prints_or_exits, "mirrord.cli.output", "print('done')"),
    (prints_or_exits, "mirrord.s3.embedded.weed", "import os\nos._exit(1)"),
    (imports_the_bare_package, "mirrord.web.page", "from mirrord import units\nfrom mirrord.model import Item"),
    (mixes_aiohttp_sides, "mirrord.web.page", "from aiohttp import web\nimport aiohttp\nx = aiohttp.hdrs"),
    (mixes_aiohttp_sides, "mirrord.sources.http", "import aiohttp\ndef f(): aiohttp.ClientSession()"),
    (runs_data_as_code, "mirrord.manifest.load", "import re, yaml\nre.compile('a')\nyaml.CSafeLoader('a')"),
    (runs_data_as_code, "mirrord.s3.embedded.weed", "import subprocess\nsubprocess.run(['ls'])"),
    (runs_data_as_code, "mirrord.frozen", "exec('x = 1')"),
]


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_no_module_breaks_the_rule(rule: Rule) -> None:
    assert len(MODULES) > 20
    breaches = [
        f"{path.relative_to(ROOT)}: {breach}"
        for path in MODULES
        for breach in rule(module_name(path), parsed(path.read_text()))
    ]
    assert not breaches, "\n".join(breaches)


@pytest.mark.parametrize(("rule", "module", "code"), BREACHES)
def test_the_rule_sees_a_breach(rule: Rule, module: str, code: str) -> None:
    assert list(rule(module, parsed(textwrap.dedent(code))))


@pytest.mark.parametrize(("rule", "module", "code"), ALLOWED)
def test_the_rule_lets_good_code_pass(rule: Rule, module: str, code: str) -> None:
    assert not list(rule(module, parsed(textwrap.dedent(code))))


def test_no_file_is_over_four_hundred_lines() -> None:
    long = {str(p.relative_to(ROOT)): n for p in MODULES if (n := len(p.read_text().splitlines())) > 400}
    assert not long


def test_nine_functions_in_ten_are_under_thirty_lines() -> None:
    lengths = [
        node.end_lineno - node.lineno + 1
        for path in MODULES
        for node in ast.walk(parsed(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno
    ]
    assert sum(length < 30 for length in lengths) >= 0.9 * len(lengths)


def test_the_page_about_the_architecture_names_every_package() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    plan = page.split("```")[1]
    missing = [name for name in SUBMODULES if not re.search(rf"\b{name}\b", plan)]
    assert not missing


# ── names ─────────────────────────────────────────────────────────────────────────────────────────
def public_names(tree: ast.Module) -> Iterator[str]:
    """Classes, protocols and type aliases of one module. An alias is a name in CapWords that a module assigns once."""
    for node in tree.body:
        match node:
            case (
                ast.ClassDef(name=name)
                | ast.Assign(targets=[ast.Name(id=name)])
                | ast.AnnAssign(target=ast.Name(id=name))
            ):
                if re.fullmatch(r"[A-Z]+[a-z]\w*", name):
                    yield name


def doubled(modules: dict[str, ast.Module]) -> dict[str, list[str]]:
    """Public names that more than one module defines, with these modules."""
    found: dict[str, list[str]] = {}
    for module, tree in modules.items():
        for name in public_names(tree):
            found.setdefault(name, []).append(module)
    return {name: places for name, places in found.items() if len(places) > 1}


def test_a_public_name_means_one_thing_in_the_package() -> None:
    found = doubled({module_name(path): parsed(path.read_text()) for path in MODULES})
    assert found == {}


@pytest.mark.parametrize("code", ["class Part: ...", "Part = int | str", "Part: TypeAlias = 'int'"])
def test_a_second_meaning_of_a_name_is_seen(code: str) -> None:
    first = parsed("class Part: ...\nclass _Own: ...\nLIMIT = 5\n")
    assert doubled({"a": first, "b": parsed(code), "c": parsed("class _Own: ...\nLIMIT = 6\n")}) == {"Part": ["a", "b"]}


def glossary() -> list[list[str]]:
    """The rows of docs/glossary.md: term, meaning, name in the code."""
    lines = (ROOT / "docs" / "glossary.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("| ")]
    return [row for row in rows if row[0] != "term"]


def test_the_glossary_has_one_meaning_for_each_term() -> None:
    terms = [term for term, _, _ in glossary()]
    assert terms == sorted(set(terms), key=str.lower)


def test_the_glossary_names_code_that_exists() -> None:
    known = {part for path in MODULES for part in module_name(path).split(".")}
    for path in MODULES:
        defined = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        known |= {node.name for node in parsed(path.read_text()).body if isinstance(node, defined)}
    assert {name.strip("`") for _, _, name in glossary()} <= known
