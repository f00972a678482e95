"""`mirrord doctor`: what is wrong, what it means, and how to fix it."""

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence

import click

from mirrord.cli import options
from mirrord.cli.exits import FAILED, INVALID
from mirrord.cli.manifests import checked, desired_at
from mirrord.cli.process.running import run
from mirrord.cli.show.lines import print_line
from mirrord.programs.desired import Desired
from mirrord.programs.doctor.findings import DoctorFinding, FindingLevel, has_failed
from mirrord.programs.doctor.run import examine
from mirrord.settings import Settings
from mirrord.web.as_json import as_json


@click.command()
@options.paths
@options.state
@click.option("--json", "in_json", is_flag=True, help="The findings as JSON.")
def doctor(paths: Sequence[str], state: str | None, in_json: bool) -> int:
    """Find out what is wrong with the manifests at PATH..., this machine, its folders and network, and the stores.

    \b
      mirrord doctor mirrord.yaml
      mirrord doctor --json

    Reads only; runs beside a daemon. Exit code: 0 all well (warnings count as well), 1 a failed check, 78 a manifest is
    invalid.
    """
    desired = desired_at(paths)
    settings = checked(desired, {"state": state})
    findings = run(_examined(desired, settings, show=not in_json))
    if in_json:
        click.echo(json.dumps(as_json({"findings": findings, "ok": not has_failed(findings)}), indent=2))
    else:
        print_line(summary(findings))
    return INVALID if desired.problems else FAILED if has_failed(findings) else 0


async def _examined(desired: Desired, settings: Settings, *, show: bool) -> list[DoctorFinding]:
    found = []
    async for finding in examine(desired, settings, os.environ):
        found.append(finding)
        for line in lines(finding) if show else ():
            print_line(line)
    return found


def lines(finding: DoctorFinding) -> Iterator[str]:
    """`failed   bucket            s3://data: does not exist`, then how to fix it."""
    yield f"{finding.verdict:<8} {finding.name:<16} {finding.about}: {finding.message}"
    if finding.fix:
        yield f"{'':<25} -> {finding.fix}"


def summary(findings: Sequence[DoctorFinding]) -> str:
    """`12 ok, 1 warning, 2 failed, 1 skipped`."""
    counts = Counter(finding.verdict for finding in findings)
    parts = [f"{counts[verdict]} {verdict}" for verdict in FindingLevel if counts[verdict]]
    return ", ".join(parts)
