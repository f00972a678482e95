"""`mirrord sync`: from manifests to objects, once."""

import os
from collections.abc import Sequence

import click

from mirrord.cli import options
from mirrord.cli.exits import FAILED, INVALID
from mirrord.cli.running import run
from mirrord.cli.show import details, observing, summary
from mirrord.daemon.desired import read
from mirrord.daemon.report import Report
from mirrord.daemon.sync import sync as sync_desired
from mirrord.settings import default_config


@click.command()
@options.paths
@options.only
@options.running
def sync(paths: Sequence[str], only: Sequence[str], **flags: str | None) -> int:
    """Look at every item of the manifests at PATH... now, copy what differs, and end.

    Exit code: 0 all in sync, 1 an item is not, 75 another mirrord holds the state, 78 a manifest is invalid.
    """
    desired = read(paths or [default_config(os.environ)], os.environ)
    settings = options.checked(desired, flags)
    with observing(settings.log_format, settings.log_level) as observer:
        report = run(sync_desired(desired, settings, observer, only))
    return told(report)


def told(report: Report) -> int:
    """Print the report; the exit code that it stands for."""
    for line in details(report):
        click.echo(line)
    click.echo(summary(report))
    if report.problems:
        return INVALID
    return FAILED if report.failed else 0
