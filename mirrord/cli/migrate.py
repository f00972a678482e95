"""`mirrord migrate`: the schema of a journal in PostgreSQL."""

import click

from mirrord.cli import options
from mirrord.cli.process.running import run
from mirrord.cli.recorded import state_location
from mirrord.engine.journals import migrated
from mirrord.errors import ManifestError


@click.command()
@options.config
@options.state
def migrate(config: str | None, state: str | None) -> int:
    """Bring the journal in PostgreSQL to the schema of this mirrord. Other commands work meanwhile.

    \b
      mirrord migrate
      mirrord migrate --state postgresql://mirrord@db.example/mirrord

    A journal in SQLite needs no migrate: each command that writes migrates it when it starts.

    Exit code: 0 the schema is the newest, 1 it could not be changed, 78 the manifest with `daemon` is invalid.
    """
    location = state_location(None, state, config)
    if location.problems:
        raise ManifestError(location.problems)
    click.echo(run(migrated(location.settings)))
    return 0
