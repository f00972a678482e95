"""The Python API: `mirrord sync` and `mirrord plan`, each as one call."""

import os
import sys
from collections.abc import Mapping, Sequence

from mirrord.errors import MirrordError
from mirrord.model import File
from mirrord.ports import Observer
from mirrord.programs.desired import Desired, read
from mirrord.programs.plan import Plan
from mirrord.programs.plan import plan as plan_desired
from mirrord.programs.report import Report
from mirrord.programs.sync import sync as sync_desired
from mirrord.telemetry.fanout import unobserved


async def sync(
    paths: Sequence[str],
    *,
    only: Sequence[str] = (),
    prune_max: float | None = None,
    state: str | None = None,
    environ: Mapping[str, str] | None = None,
    observer: Observer = unobserved,
) -> Report:
    """Check every item of the manifests at `paths` now, copy what differs, and report.

    `only`: globs on entry names and keys. `prune_max`: the share of an entry's objects, from 0 to 1, that may be
    deleted. `state`: the journal; default: that of the manifests, else that of the user.

    Raises PathMissing, JournalLocked and other JournalErrors, and MirrordError for local files where Python's file
    system encoding is not UTF-8. The report has the problems of manifests and items.
    """
    environ = os.environ if environ is None else environ
    desired = _readable(read(paths, environ))
    return await sync_desired(desired, desired.settings({"state": state}, environ), observer, only, prune_max)


async def plan(
    paths: Sequence[str],
    *,
    only: Sequence[str] = (),
    state: str | None = None,
    environ: Mapping[str, str] | None = None,
    observer: Observer = unobserved,
) -> Plan:
    """What `sync` with the same arguments would do now, and why. Reads only, and runs beside a daemon.

    Raises PathMissing, JournalTooNew and other JournalErrors. The plan has the problems of manifests and items.
    """
    environ = os.environ if environ is None else environ
    desired = _readable(read(paths, environ))
    return await plan_desired(desired, desired.settings({"state": state}, environ), observer, only)


def _readable(desired: Desired) -> Desired:
    """Raises MirrordError where Python decodes file names with another encoding: the keys would differ."""
    local = desired.expansion.folders or any(isinstance(item.origin, File) for item in desired.expansion.items)
    if local and sys.getfilesystemencoding() != "utf-8":
        raise MirrordError(
            "names of files are UTF-8: start Python with -X utf8, or with PYTHONUTF8=1 in its environment"
        )
    return desired
