"""What `doctor` found: one `DoctorFinding` for each thing that it looked at. Pure."""

from collections.abc import Iterable
from enum import StrEnum

from mirrord.frozen import frozen


class FindingLevel(StrEnum):
    """Whether something is as it must be."""

    OK = "ok"
    WARNING = "warning"  # mirrord works, but slower, or with less proof
    FAILED = "failed"  # something will not work
    SKIPPED = "skipped"  # it could not be found out, or there was nothing to look at


@frozen
class DoctorFinding:
    """`name` says what was looked at, the same in each run; `about` at which store, bucket, folder or host. `message`
    is what was found and what it means, `fix` what to do about it; each warning and each failure has one."""

    name: str
    about: str
    verdict: FindingLevel
    message: str
    fix: str = ""


def ok(name: str, about: str, message: str) -> DoctorFinding:
    return DoctorFinding(name, about, FindingLevel.OK, message)


def warning(name: str, about: str, message: str, fix: str) -> DoctorFinding:
    return DoctorFinding(name, about, FindingLevel.WARNING, message, fix)


def failed(name: str, about: str, message: str, fix: str) -> DoctorFinding:
    return DoctorFinding(name, about, FindingLevel.FAILED, message, fix)


def skipped(name: str, about: str, message: str) -> DoctorFinding:
    return DoctorFinding(name, about, FindingLevel.SKIPPED, message)


def has_failed(findings: Iterable[DoctorFinding]) -> bool:
    """Whether the exit code tells of a failure."""
    return any(one.verdict is FindingLevel.FAILED for one in findings)
