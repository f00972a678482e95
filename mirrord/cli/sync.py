"""`mirrord sync`: from manifests to objects, once."""

from collections.abc import Sequence

import click

from mirrord.cli import options
from mirrord.cli.exits import FAILED, INVALID
from mirrord.cli.manifests import checked, desired_at, require_match
from mirrord.cli.process.running import run
from mirrord.cli.show.lines import details, print_line, summary
from mirrord.cli.show.progress import showing_progress
from mirrord.programs.report import Report
from mirrord.programs.sync import sync as sync_desired


@click.command()
@options.paths
@options.only
@options.prune_max
@options.verbose
@options.running
def sync(paths: Sequence[str], only: Sequence[str], prune_max: float | None, verbose: bool, **flags: str | None) -> int:
    """Check every item of the manifests at PATH... now, copy what differs, and end.

    Exit code: 0 all in sync, 1 an item is not, 2 there is no manifest or no item that --only matches, 75 another
    mirrord holds the state, 78 a manifest is invalid.
    """
    desired = desired_at(paths)
    settings = checked(desired, flags)
    with showing_progress(settings, verbose=verbose) as observer:
        report = run(sync_desired(desired, settings, observer, only, prune_max))
    require_match(desired, only, report.seen)
    return exit_code_of(report)


def exit_code_of(report: Report) -> int:
    """Print the report; returns the exit code."""
    for line in details(report):
        print_line(line)
    click.echo(summary(report))
    if report.problems:
        return INVALID
    return FAILED if report.failed else 0
