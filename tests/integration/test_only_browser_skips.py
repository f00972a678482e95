"""The plugin of CI that makes skips fail: pytest in a subprocess with the plugin, on the small suites below."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PASSES = "def test_works(): pass\n"


@pytest.fixture(params=[[], ["-p", "xdist", "-n", "2"]], ids=["one process", "workers"])
def workers(request: pytest.FixtureRequest) -> list[str]:
    """Arguments of pytest: run by hand, and run by `make test`."""
    found: list[str] = request.param
    return found


def run(
    suite: str, tmp_path: Path, workers: Sequence[str] = (), *, plugin: bool = True
) -> subprocess.CompletedProcess[str]:
    (tmp_path / "test_suite.py").write_text("import pytest\n" + suite)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)]
    if plugin:
        command += ["-p", "tests.support.only_browser_skips"]
    return subprocess.run(
        [*command, *workers],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )


SKIPS = {
    "in_the_test": "def test_skips(): pytest.skip('weed is not installed')\n",
    "by_mark": "@pytest.mark.skip(reason='flaky')\ndef test_skips(): pass\n",
    "by_condition": "@pytest.mark.skipif(True, reason='root')\ndef test_skips(): pass\n",
    "in_a_fixture": "@pytest.fixture\ndef store(): pytest.skip('no store')\n\ndef test_skips(store): pass\n",
    "the_whole_module": "pytest.skip('not here', allow_module_level=True)\n",
    "a_missing_module": "missing = pytest.importorskip('surely_no_such_module')\n",
}


@pytest.mark.parametrize("kind", ["in_the_test", "the_whole_module"])
def test_a_skip_fails_the_run(kind: str, tmp_path: Path, workers: list[str]) -> None:
    done = run(PASSES + SKIPS[kind], tmp_path, workers)
    assert done.returncode == 1, done.stdout
    assert "skips that fail this run" in done.stdout
    assert " 1 skipped" in done.stdout.splitlines()[-1], "the summary line of pytest must stay the last line"


def test_each_kind_of_skip_is_named(tmp_path: Path) -> None:
    for kind, suite in SKIPS.items():
        (tmp_path / f"test_{kind}.py").write_text("import pytest\n" + suite)
    done = run(PASSES, tmp_path)
    assert done.returncode == 1, done.stdout
    named = done.stdout.partition("skips that fail this run")[2].splitlines()[1 : 1 + len(SKIPS)]
    assert {line.partition(".py")[0] for line in named} == {f"test_{kind}" for kind in SKIPS}, done.stdout


def test_without_the_plugin_a_skip_passes(tmp_path: Path) -> None:
    assert run("def test_skips(): pytest.skip('weed is not installed')\n", tmp_path, plugin=False).returncode == 0


ALLOWED = """
def test_page(): pytest.skip('no browser is installed')
def test_alert(): pytest.skip('no prometheus is installed')
def test_chart(): pytest.skip('no helm, kubeconform or schemas: make tools')
@pytest.mark.xfail(strict=True)
def test_known(): assert False
"""


def test_a_run_without_other_skips_passes(tmp_path: Path, workers: list[str]) -> None:
    done = run(PASSES + ALLOWED, tmp_path, workers)
    assert done.returncode == 0, done.stdout
    assert "1 passed, 3 skipped, 1 xfailed" in done.stdout


def test_a_failure_stays_a_failure(tmp_path: Path, workers: list[str]) -> None:
    suite = "def test_fails(): assert False\ndef test_skips(): pytest.skip('x')\n"
    assert run(suite, tmp_path, workers).returncode == 1
