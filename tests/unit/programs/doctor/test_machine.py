"""What `doctor` says about the machine."""

from dataclasses import replace
from pathlib import Path

import pytest

from mirrord.programs.doctor.findings import FindingLevel
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
        (GOOD, FindingLevel.OK, FindingLevel.OK),
        (replace(GOOD, mode=None, nearest="/var/lib"), FindingLevel.OK, FindingLevel.OK),
        (replace(GOOD, mode=0o755), FindingLevel.WARNING, FindingLevel.OK),
        (replace(GOOD, mode=0o750), FindingLevel.WARNING, FindingLevel.OK),
        (replace(GOOD, own=False), FindingLevel.WARNING, FindingLevel.OK),
        (replace(GOOD, writable=False), FindingLevel.FAILED, FindingLevel.OK),
        (replace(GOOD, free=64 * MiB - 1), FindingLevel.OK, FindingLevel.FAILED),
        (replace(GOOD, free=64 * MiB), FindingLevel.OK, FindingLevel.WARNING),
        (replace(GOOD, free=GiB - 1), FindingLevel.OK, FindingLevel.WARNING),
        (replace(GOOD, free=GiB), FindingLevel.OK, FindingLevel.OK),
    ],
)
def test_the_state_directory_is_judged(facts: StateFacts, rights: FindingLevel, space: FindingLevel) -> None:
    found = list(state_findings(facts))
    assert [(one.name, one.verdict) for one in found] == [("state-directory", rights), ("disk-space", space)]
    assert all(one.fix for one in found if one.verdict is FindingLevel.FAILED)


def test_the_nearest_parent_of_a_missing_state_directory_is_read(tmp_path: Path) -> None:
    facts = read_state(tmp_path / "a" / "b")
    assert (facts.nearest, facts.mode) == (str(tmp_path), None)
    (tmp_path / "a" / "b").mkdir(parents=True, mode=0o700)
    assert read_state(tmp_path / "a" / "b").mode == 0o700


@pytest.mark.parametrize(
    ("directories", "limits", "verdict"),
    [
        (10, None, FindingLevel.SKIPPED),
        (10, (20, 1), FindingLevel.OK),
        (11, (20, 1), FindingLevel.WARNING),
        (20, (20, 1), FindingLevel.WARNING),
        (21, (20, 1), FindingLevel.FAILED),
        (1, (20, 0), FindingLevel.WARNING),
    ],
)
def test_each_directory_needs_a_watch(directories: int, limits: tuple[int, int] | None, verdict: FindingLevel) -> None:
    assert inotify_finding(directories, limits).verdict is verdict


def test_the_stores_need_files() -> None:
    assert open_files_finding(1024, 1).verdict is FindingLevel.OK
    assert open_files_finding(1024, 8).verdict is FindingLevel.WARNING
    assert open_files_finding(256, 0).verdict is FindingLevel.OK
    assert open_files_finding(255, 0).verdict is FindingLevel.WARNING
