"""What `doctor` says about the machine."""

from dataclasses import replace
from pathlib import Path

import pytest

from mirrord.programs.doctor.findings import Verdict
from mirrord.programs.doctor.machine import (
    StateFacts,
    inotify_finding,
    open_files_finding,
    read_state,
    state_findings,
)
from mirrord.units import GiB, MiB

GOOD = StateFacts("/var/lib/mirrord", "/var/lib/mirrord", 0o700, True, True, 10 * GiB)


@pytest.mark.parametrize(
    ("facts", "rights", "space"),
    [
        (GOOD, Verdict.OK, Verdict.OK),
        (replace(GOOD, mode=None, nearest="/var/lib"), Verdict.OK, Verdict.OK),
        (replace(GOOD, mode=0o755), Verdict.WARNING, Verdict.OK),
        (replace(GOOD, mode=0o750), Verdict.WARNING, Verdict.OK),
        (replace(GOOD, own=False), Verdict.WARNING, Verdict.OK),
        (replace(GOOD, writable=False), Verdict.FAILED, Verdict.OK),
        (replace(GOOD, free=64 * MiB - 1), Verdict.OK, Verdict.FAILED),
        (replace(GOOD, free=64 * MiB), Verdict.OK, Verdict.WARNING),
        (replace(GOOD, free=GiB - 1), Verdict.OK, Verdict.WARNING),
        (replace(GOOD, free=GiB), Verdict.OK, Verdict.OK),
    ],
)
def test_the_state_directory_is_judged(facts: StateFacts, rights: Verdict, space: Verdict) -> None:
    found = list(state_findings(facts))
    assert [(one.name, one.verdict) for one in found] == [("state-directory", rights), ("disk-space", space)]
    assert all(one.fix for one in found if one.verdict is Verdict.FAILED)


def test_the_nearest_parent_of_a_missing_state_directory_is_read(tmp_path: Path) -> None:
    facts = read_state(tmp_path / "a" / "b")
    assert (facts.nearest, facts.mode) == (str(tmp_path), None)
    (tmp_path / "a" / "b").mkdir(parents=True, mode=0o700)
    assert read_state(tmp_path / "a" / "b").mode == 0o700


@pytest.mark.parametrize(
    ("directories", "limits", "verdict"),
    [
        (10, None, Verdict.SKIPPED),
        (10, (20, 1), Verdict.OK),
        (11, (20, 1), Verdict.WARNING),
        (20, (20, 1), Verdict.WARNING),
        (21, (20, 1), Verdict.FAILED),
        (1, (20, 0), Verdict.WARNING),
    ],
)
def test_each_directory_needs_a_watch(directories: int, limits: tuple[int, int] | None, verdict: Verdict) -> None:
    assert inotify_finding(directories, limits).verdict is verdict


def test_the_stores_need_files() -> None:
    assert open_files_finding(1024, 1).verdict is Verdict.OK
    assert open_files_finding(1024, 8).verdict is Verdict.WARNING
    assert open_files_finding(256, 0).verdict is Verdict.OK
    assert open_files_finding(255, 0).verdict is Verdict.WARNING
