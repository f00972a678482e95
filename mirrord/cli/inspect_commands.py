"""`mirrord validate` and `mirrord schema`: questions that need neither network nor journal."""

import json
import os
from collections.abc import Sequence

import click

from mirrord.cli import options
from mirrord.cli.exits import INVALID
from mirrord.manifest.discover import discover
from mirrord.planning.expand import validate as problems_of
from mirrord.settings import default_config


@click.command()
@options.paths
@click.option("--allow-unset", is_flag=True, help="Check all but the values that unset variables stand for.")
def validate(paths: Sequence[str], allow_unset: bool) -> int:
    """Check the manifests at PATH..., offline. Every problem is printed with its file, line and column."""
    files = discover(paths or [default_config(os.environ)])
    problems = problems_of(files, os.environ, allow_unset=allow_unset)
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
    from mirrord.manifest.json_schema import json_schema

    click.echo(json.dumps(json_schema(), indent=2))
    return 0
