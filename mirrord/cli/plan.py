"""`mirrord plan`: what `sync` would do. Writes nothing."""

from collections.abc import Sequence

import click

from mirrord.cli import options
from mirrord.cli.exits import CHANGES, FAILED, INVALID
from mirrord.cli.manifests import checked, desired_at, require_match
from mirrord.cli.process.running import run
from mirrord.cli.show.lines import print_line
from mirrord.cli.show.plan import json_text, lines
from mirrord.cli.show.progress import observing
from mirrord.programs.plan import Plan
from mirrord.programs.plan import plan as plan_desired


@click.command()
@options.paths
@options.only
@options.running
@click.option("--json", "in_json", is_flag=True, help="The plan as one JSON document.")
@click.option("--exit-code", is_flag=True, help="Exit with 3 if there are changes.")
def plan(paths: Sequence[str], only: Sequence[str], in_json: bool, exit_code: bool, **flags: str | None) -> int:
    """Show what `sync` would do with the manifests at PATH... now, and why. Reads only; runs beside a daemon.

    \b
      mirrord plan mirrord.yaml
      mirrord plan --only 'releases/*' --json
      mirrord plan --exit-code && echo equal

    Exit code: 0 all well, 1 an item is Blocked or could not be checked, 3 there are changes (with --exit-code),
    78 a manifest is invalid. Of several the last one named here.
    """
    desired = desired_at(paths)
    settings = checked(desired, flags)
    with observing(settings.log_format, settings.log_level) as observer:
        found = run(plan_desired(desired, settings, observer, only))
    require_match(desired, only, found.seen)
    if in_json:
        for text in json_text(found):
            click.echo(text, nl=False)
    else:
        for line in lines(found):
            print_line(line)
    return exit_code_of(found, exit_code)


def exit_code_of(found: Plan, exit_code: bool) -> int:
    """The exit code of a plan."""
    if found.problems:
        return INVALID
    if exit_code and found.changes:
        return CHANGES
    return FAILED if found.failed else 0
