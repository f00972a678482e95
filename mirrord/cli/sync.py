"""`mirrord sync`: from manifests to objects, once."""

import time
from collections.abc import Sequence

import click

from mirrord.cli import options
from mirrord.cli.exits import FAILED, INVALID
from mirrord.cli.manifests import checked, desired_at, require_match
from mirrord.cli.process.running import run
from mirrord.cli.show.lines import details, print_line, summary
from mirrord.cli.show.progress import showing_progress
from mirrord.programs.report import Report
from mirrord.programs.report_file import STDOUT, ReportFile, open_report
from mirrord.programs.sync import sync as sync_desired


@click.command()
@options.paths
@options.only
@options.prune_max
@click.option(
    "--report",
    "report_to",
    metavar="FILE",
    shell_complete=options.files,
    help="Write each item of the pass to FILE, as JSON; -: stdout.",
)
@options.verbose
@options.running
def sync(
    paths: Sequence[str],
    only: Sequence[str],
    prune_max: float | None,
    report_to: str | None,
    verbose: bool,
    **flags: str | None,
) -> int:
    """Check every item of the manifests at PATH... now, copy what differs, and end.

    \b
      mirrord sync mirrord.yaml
      mirrord sync --only 'releases/*' --bandwidth 20MiB/s
      mirrord sync --report report.json

    Exit code: 0 all in sync, 1 an item is not, 2 there is no manifest or no item that --only matches, 75 another
    mirrord holds the state, 78 a manifest is invalid.
    """
    desired = desired_at(paths)
    settings = checked(desired, flags)
    file = _opened(report_to)
    with showing_progress(settings, verbose=verbose) as observer:
        report = run(sync_desired(desired, settings, observer, only, prune_max, file))
    require_match(desired, only, report.seen)
    code = exit_code_of(report, err=report_to == STDOUT)
    if file is not None and file.problem:
        click.echo(file.problem, err=True)
        return code or FAILED
    return code


def _opened(path: str | None) -> ReportFile | None:
    try:
        return None if path is None else open_report(path, time.time())
    except OSError as error:
        raise click.BadParameter(f"cannot write {path}: {error.strerror or error}", param_hint="--report") from error


def exit_code_of(report: Report, *, err: bool = False) -> int:
    """Print the report, to stderr with `err`; returns the exit code."""
    for line in details(report):
        print_line(line, err=err)
    click.echo(summary(report), err=err)
    if report.problems:
        return INVALID
    return FAILED if report.failed else 0
