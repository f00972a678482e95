"""`mirrord doctor`: what is wrong, what it means, and how to fix it."""

import json
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence

import click

from mirrord.cli import options
from mirrord.cli.exits import FAILED, INVALID
from mirrord.cli.manifests import checked, desired_at
from mirrord.cli.process.running import run
from mirrord.cli.show.lines import print_line
from mirrord.programs.desired import Desired
from mirrord.programs.doctor.findings import DoctorFinding, FindingLevel, has_failed
from mirrord.programs.doctor.measuring import ProbePlace, measured
from mirrord.programs.doctor.probe_objects import PREFIX
from mirrord.programs.doctor.run import examine, used_buckets
from mirrord.settings import Settings
from mirrord.web.as_json import as_json


@click.command()
@options.paths
@options.state
@click.option("--store", metavar="NAME", help="Measure this store, too: writes, reads and deletes probe objects.")
@click.option("--bucket", metavar="BUCKET", help="The bucket for the probe objects; absent: one that entries use.")
@click.option("--json", "in_json", is_flag=True, help="The findings as JSON.")
def doctor(paths: Sequence[str], state: str | None, store: str | None, bucket: str | None, in_json: bool) -> int:
    """Find out what is wrong with the manifests at PATH..., this machine, its folders and network, and the stores.

    \b
      mirrord doctor mirrord.yaml
      mirrord doctor --json
      mirrord doctor --store default --bucket scratch

    Reads only, unless --store is given; runs beside a daemon. Exit code: 0 all well (warnings count as well), 1 a
    failed check, 78 a manifest is invalid.
    """
    desired = desired_at(paths)
    settings = checked(desired, {"state": state})
    place = None if store is None else _place(desired, store, bucket)
    if store is None and bucket is not None:
        raise click.UsageError("--bucket is for --store NAME")
    findings = run(_examined(desired, settings, place, show=not in_json))
    if in_json:
        click.echo(json.dumps(as_json({"findings": findings, "ok": not has_failed(findings)}), indent=2))
    else:
        print_line(summary(findings))
    return INVALID if desired.problems else FAILED if has_failed(findings) else 0


def _place(desired: Desired, store: str, bucket: str | None) -> ProbePlace:
    """Where to write, as the user is told before."""
    declared = desired.loaded.stores.get(store)
    if declared is None:
        raise click.UsageError(f"--store {store}: no manifest declares a store of this name")
    chosen = bucket or next(iter(sorted(used_buckets(desired).get(store, {}))), None)
    if chosen is None:
        raise click.UsageError(f"--store {store}: no entry uses this store; name a bucket with --bucket")
    where = f"s3://{chosen}/{PREFIX} at store {store!r}"
    _say(f"writing, reading and deleting probe objects (about 30 MiB in all) below {where}")
    return ProbePlace(declared, chosen)


def _say(line: str) -> None:
    print_line(line, err=True)


async def _examined(
    desired: Desired, settings: Settings, place: ProbePlace | None, *, show: bool
) -> list[DoctorFinding]:
    found = []
    async for finding in _findings(desired, settings, place):
        found.append(finding)
        for line in lines(finding) if show else ():
            print_line(line)
    return found


async def _findings(desired: Desired, settings: Settings, place: ProbePlace | None) -> AsyncIterator[DoctorFinding]:
    async for finding in examine(desired, settings, os.environ):
        yield finding
    if place is not None:
        for finding in await measured(place, settings.directory, _say):
            yield finding


def lines(finding: DoctorFinding) -> Iterator[str]:
    """`failed   bucket            s3://data: does not exist`, then how to fix it."""
    yield f"{finding.verdict:<8} {finding.name:<20} {finding.about}: {finding.message}"
    if finding.fix:
        yield f"{'':<29} -> {finding.fix}"


def summary(findings: Sequence[DoctorFinding]) -> str:
    """`12 ok, 1 warning, 2 failed, 1 skipped`."""
    counts = Counter(finding.verdict for finding in findings)
    parts = [f"{counts[verdict]} {verdict}" for verdict in FindingLevel if counts[verdict]]
    return ", ".join(parts)
