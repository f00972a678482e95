"""The marker `alone` in a run with workers: pytest in a subprocess, on the small suite below."""

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[2]
OURS = {"PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
SUITE = """
import json, os, pathlib, time, pytest

HERE = pathlib.Path(__file__).parent

def sleep(name, seconds):
    began = time.monotonic()
    time.sleep(seconds)
    line = [name, os.environ["PYTEST_XDIST_WORKER"], began, time.monotonic()]
    (HERE / f"{name}.json").write_text(json.dumps(line))

@pytest.mark.alone
@pytest.mark.parametrize("number", range(2))
def test_alone(number): sleep(f"alone{number}", 0.1)

@pytest.mark.parametrize("number", range(6))
def test_beside(number): sleep(f"beside{number}", 0.3 if number == 5 else 0.05)
"""


def test_no_other_worker_runs_a_test_meanwhile_and_they_come_last(tmp_path: Path) -> None:
    (tmp_path / "test_suite.py").write_text(SUITE)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "tests.support.alone"]
    done = subprocess.run(
        [*command, "-p", "xdist", "-n", "2", "--strict-markers", "--rootdir", str(tmp_path), str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, **OURS, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout
    ran = sorted((json.loads(file.read_text()) for file in tmp_path.glob("*.json")), key=lambda one: one[2])
    assert {worker for _, worker, _, _ in ran} == {"gw0", "gw1"}
    assert [name[:5] for name, *_ in ran] == ["besid"] * 6 + ["alone"] * 2
    for (before, _, _, ended), (after, _, began, _) in pairwise(ran):
        assert "alone" not in before + after or ended <= began, (before, after)
    assert not list(tmp_path.glob("mirrord-locks-*")), "the run removes its locks"
