"""`mirrord plan`, `validate` and `schema`: read manifests and write nothing."""

import json
import os
from collections.abc import Sequence

import click

from mirrord.cli import options
from mirrord.cli.exits import CHANGES, FAILED, INVALID
from mirrord.cli.process.running import run
from mirrord.cli.show.lines import observing, print_line
from mirrord.cli.show.plan import in_json as plan_in_json
from mirrord.cli.show.plan import lines
from mirrord.manifest.discover import discover
from mirrord.programs.desired import problems_of
from mirrord.programs.plan import Plan
from mirrord.programs.plan import plan as plan_desired
from mirrord.settings import default_config


@click.command()
@options.paths
@options.only
@options.running
@click.option("--json", "in_json", is_flag=True, help="The plan as one JSON document.")
@click.option("--exit-code", is_flag=True, help="Exit with 3 if there are changes.")
def plan(paths: Sequence[str], only: Sequence[str], in_json: bool, exit_code: bool, **flags: str | None) -> int:
    """Show what `sync` would do with the manifests at PATH... now, and why. Reads only; runs beside a daemon.

    Exit code: 0 all well, 1 an item is Blocked or could not be checked, 3 there are changes (with --exit-code),
    78 a manifest is invalid. Of several the last one named here.
    """
    desired = options.desired_at(paths)
    settings = options.checked(desired, flags)
    with observing(settings.log_format, settings.log_level) as observer:
        found = run(plan_desired(desired, settings, observer, only))
    options.require_match(desired, only, found.seen)
    if in_json:
        click.echo(json.dumps(plan_in_json(found), indent=2))
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


@click.command()
@options.paths
@click.option("--allow-unset", is_flag=True, help="Check all but the values that unset variables stand for.")
def validate(paths: Sequence[str], allow_unset: bool) -> int:
    """Check the manifests at PATH..., offline. Every problem is printed with its file, line and column."""
    paths = paths or [default_config(os.environ)]
    files = discover(paths)
    options.require_files(paths, files)
    problems = problems_of(paths, os.environ, allow_unset=allow_unset)
    for problem in problems:
        click.echo(str(problem), err=True)
    bad = {problem.file for problem in problems}
    for file in files:
        if file not in bad:
            click.echo(f"{file}: valid")
    return INVALID if problems else 0


@click.command()
def schema() -> int:
    """Print the JSON Schema of manifests, for editors."""
    from mirrord.manifest.schema.json_schema import json_schema

    click.echo(json.dumps(json_schema(), indent=2))
    return 0
