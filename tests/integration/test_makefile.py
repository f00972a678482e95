"""The Makefile's search for a Python on any machine, and the goals that CI uses. These tests install nothing."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OLD = "exit 1"
BARE = f'case "$*" in *ensurepip*) exit 1 ;; esac\nexec {sys.executable} "$@"'
GOOD = f'case "$1 $2" in "-m venv") shift 2; set -- -m venv --without-pip "$@" ;; esac\nexec {sys.executable} "$@"'
"""A working Python. Its environments have no pip: the installation takes seconds and is not needed here."""


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A directory for PATH with the programs of make's recipes and without Python."""
    path = tmp_path / "bin"
    path.mkdir()
    for name in ("sh", "test", "rm", "touch"):
        found = shutil.which(name)
        assert found
        (path / name).symlink_to(found)
    return path


def install(machine: Path, **pythons: str) -> None:
    for name, script in pythons.items():
        file = machine / name.replace("_", ".")
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)


def make(machine: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [shutil.which("make") or "make", f"VENV={machine.parent / 'venv'}", *arguments]
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "PYTHON"))}
    environ |= {"PATH": str(machine), "HOME": str(machine.parent)}
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=120)


def environment(machine: Path) -> Path:
    return machine.parent / "venv" / "pyvenv.cfg"


@pytest.mark.parametrize("pythons", [{}, {"python3": OLD}, {"python3": OLD, "python3_12": OLD}], ids=str)
def test_without_a_suitable_python_the_error_names_the_remedy(pythons: dict[str, str], machine: Path) -> None:
    install(machine, **pythons)
    done = make(machine, "test")
    assert done.returncode == 2
    assert "no Python 3.11 or newer among: python3 python3.13 " in done.stderr
    assert "make PYTHON=/path/to/python3 test" in done.stderr
    assert not environment(machine).exists()


def test_a_python_without_ensurepip_is_named_with_its_package(machine: Path) -> None:
    install(machine, python3=OLD, python3_12=BARE)
    done = make(machine, "demo")
    assert done.returncode == 2
    assert "python3.12 cannot make an environment" in done.stderr
    assert f"apt-get install python3.{sys.version_info.minor}-venv" in done.stderr
    assert not environment(machine).exists()


def test_the_first_suitable_python_makes_the_environment(machine: Path) -> None:
    install(machine, python3=OLD, python3_13=BARE, python3_12=GOOD, python3_11=BARE)
    done = make(machine, str(environment(machine)))
    assert done.returncode == 0, done.stderr
    assert "with python3.12 (" in done.stdout
    assert environment(machine).is_file()
    again = make(machine, str(environment(machine)))
    assert "up to date" in again.stdout


def test_an_environment_whose_python_went_away_is_made_again(machine: Path) -> None:
    install(machine, python3=GOOD)
    broken = environment(machine)
    (broken.parent / "bin").mkdir(parents=True)
    broken.write_text("home = /usr/lib/python3.10\n")
    (broken.parent / "bin" / "python").symlink_to("/usr/lib/no-such-python")
    done = make(machine, str(broken))
    assert done.returncode == 0, done.stderr
    assert os.access(broken.parent / "bin" / "python", os.X_OK)


def test_ci_calls_lint_fuzz_targets_and_the_readmes_test_command() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    text = script.read_text()
    assert re.findall(r"\bmake (\w+)", text) == ["tools", "lint", "fuzz", "test"]
    assert "MIRRORD_FUZZ=30 limited" in text
    assert "$ make test" in (ROOT / "README.md").read_text()
    plugin = re.search(r"-p (tests\.[\w.]+)", text)
    assert plugin
    assert (ROOT / plugin[1].replace(".", "/")).with_suffix(".py").is_file()
