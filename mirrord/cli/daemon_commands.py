"""`mirrord run` and `mirrord sync`: from manifests to objects, continuously or once."""

import os
from collections.abc import Sequence
from contextlib import suppress

import click

from mirrord.cli import options
from mirrord.cli.exits import FAILED, INVALID
from mirrord.cli.process import running
from mirrord.cli.process.signals import process
from mirrord.cli.show.lines import details, observing, print_line, showing_progress, summary
from mirrord.daemon.run import serve
from mirrord.errors import ManifestError
from mirrord.programs.desired import read
from mirrord.programs.report import Report
from mirrord.programs.sync import sync as sync_desired
from mirrord.settings import Settings, default_config


@click.command()
@options.paths
@options.listen
@options.hosts
@options.running
def run(paths: Sequence[str], **flags: str | None) -> int:
    """Keep the stores equal to the manifests and folders at PATH..., until SIGTERM. SIGHUP reads all again.

    Exit code: 0 stopped, 1 it cannot run, 75 another mirrord holds the state, 78 no manifest is valid.
    """
    paths = paths or [default_config(os.environ)]
    settings = _settings(paths, flags)
    with observing(settings.log_format, settings.log_level) as observer, suppress(KeyboardInterrupt):  # at startup
        running.run_daemon(serve(paths, settings, os.environ, observer, process, flags))
    return 0


def _settings(paths: Sequence[str], flags: dict[str, str | None]) -> Settings:
    """The settings of the process. The daemon reads the manifests again, so that they are not kept here."""
    desired = read(paths, os.environ, again=True)
    if desired.problems and not desired.sound:
        raise ManifestError(desired.problems)
    return options.checked(desired, flags)


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
    desired = options.desired_at(paths)
    settings = options.checked(desired, flags)
    with showing_progress(settings, verbose=verbose) as observer:
        report = running.run(sync_desired(desired, settings, observer, only, prune_max))
    options.require_match(desired, only, report.seen)
    return exit_code_of(report)


def exit_code_of(report: Report) -> int:
    """Print the report; returns the exit code."""
    for line in details(report):
        print_line(line)
    click.echo(summary(report))
    if report.problems:
        return INVALID
    return FAILED if report.failed else 0
