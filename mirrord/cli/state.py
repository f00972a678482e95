"""`mirrord state copy`: moves a journal to another place."""

from collections.abc import Mapping
from pathlib import Path

import click

from mirrord.cli import options
from mirrord.cli.process.running import run
from mirrord.engine.state_copy import copied
from mirrord.model import Secret, shown
from mirrord.settings import state_of


@click.group()
def state() -> None:
    """Work with the journal itself.

    \b
      mirrord state copy /var/lib/mirrord postgresql://mirrord@db.example/mirrord
    """


@state.command("copy")
@click.argument("source", metavar="FROM", shell_complete=options.files)
@click.argument("target", metavar="TO", shell_complete=options.files)
def state_copy(source: str, target: str) -> int:
    """Copy everything that the journal FROM has into the empty journal TO, between SQLite and PostgreSQL too.

    \b
      mirrord state copy /var/lib/mirrord postgresql://mirrord@db.example/mirrord
      mirrord state copy postgresql://mirrord@db.example/mirrord /var/lib/mirrord

    FROM and TO are as --state: a directory, sqlite:///path/state.db, or postgresql://host/database. FROM stays as it
    is. A copy that was interrupted has changed nothing and can be repeated.

    Exit code: 0 copied, 1 it could not be copied, 2 usage, 75 another mirrord holds FROM or TO.
    """
    places = _place("FROM", source), _place("TO", target)
    counts = run(copied(*places))
    click.echo(f"copied {_summary(counts)}")
    click.echo(
        f"from {_shown(places[0])}, which stays as it is, to {_shown(places[1])}: start mirrord on the copy only "
        "(--state, MIRRORD_STATE or daemon.state), because two journals of the same objects work against each other"
    )
    return 0


def _place(name: str, text: str) -> Path | Secret:
    try:
        return state_of(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=name) from error


def _shown(place: Path | Secret) -> str:
    return shown(place.reveal()) if isinstance(place, Secret) else str(place)


_NAMES = {
    "items": ("item", "items"),
    "transfers": ("unfinished transfer", "unfinished transfers"),
    "parts": ("part", "parts"),
    "outbox": ("notification", "notifications"),
    "past_objects": ("past object", "past objects"),
    "failures": ("failed attempt", "failed attempts"),
}


def _summary(counts: Mapping[str, int]) -> str:
    """Like `1,200 items, 1 unfinished transfer`."""
    return ", ".join(
        f"{counts[table]:,} {one if counts[table] == 1 else many}"
        for table, (one, many) in _NAMES.items()
        if counts[table] or table == "items"
    )
