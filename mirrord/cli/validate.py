"""`mirrord validate` and `schema`: the manifests alone, offline."""

import json
import os
from collections.abc import Sequence

import click

from mirrord.cli import options
from mirrord.cli.exits import INVALID
from mirrord.cli.manifests import require_files
from mirrord.manifest.discover import discover
from mirrord.programs.desired import problems_of
from mirrord.settings import default_config


@click.command()
@options.paths
@click.option("--allow-unset", is_flag=True, help="Check all but the values that unset variables stand for.")
def validate(paths: Sequence[str], allow_unset: bool) -> int:
    """Check the manifests at PATH..., offline. Every problem is printed with its file, line and column.

    \b
      mirrord validate mirrord.yaml
      mirrord validate manifests/ --allow-unset

    Exit code: 0 all are valid, 2 there is no manifest, 78 one is invalid.
    """
    paths = paths or [default_config(os.environ)]
    files = discover(paths)
    require_files(paths, files)
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
    """Print the JSON Schema of manifests, for editors.

    \b
      mirrord schema > mirrord.schema.json
    """
    from mirrord.manifest.schema.json_schema import json_schema

    click.echo(json.dumps(json_schema(), indent=2))
    return 0
