"""`mirrord status` and `mirrord trigger`: requests to a running daemon."""

import json
import os
import time
from collections.abc import Sequence

import click

from mirrord.cli import options
from mirrord.cli.daemon_address import TOKEN, checked_address, own_token
from mirrord.cli.exits import FAILED
from mirrord.cli.process.running import run
from mirrord.cli.show.lines import print_line
from mirrord.cli.show.overview import Overview, overview
from mirrord.cli.show.status import in_json as status_in_json
from mirrord.cli.show.status import lines
from mirrord.daemon.presence import running_daemon
from mirrord.errors import NoDaemon
from mirrord.programs.offline import StateLocation, locate_state

LISTED = 20
"""Most items not in sync that are shown as text; JSON has `LISTED_JSON`."""
LISTED_JSON = 1_000


@click.command()
@click.option("--json", "in_json", is_flag=True, help="One JSON document; with --watch one a line.")
@click.option("--watch", is_flag=True, help="Update every second until q or Ctrl-C; at a terminal on the whole screen.")
@options.url
@options.state
@options.config
def status(in_json: bool, watch: bool, url: str | None, state: str | None, config: str | None) -> int:
    """Show the daemon's items, running transfers and problems; with no daemon, what the journal recorded.

    \b
      mirrord status
      mirrord status --watch
      mirrord status --url http://127.0.0.1:8420 --json

    Exit code: 0 shown, whatever the items' states; 1 nothing answers at --url, or the journal cannot be read.
    """
    _checked_url(url)
    location = _state_location(config, state)
    limit = LISTED_JSON if in_json else LISTED
    if not watch:
        _print_status(run(overview(url, location, limit)), in_json)
        return 0
    try:
        from mirrord.cli.watch import watch as watch_status

        run(watch_status(lambda: overview(url, location, limit), in_json=in_json))
    except KeyboardInterrupt:  # how watching ends
        return 0
    return 0


@click.command()
@click.argument(
    "items", nargs=-1, required=True, metavar="GLOB_OR_ITEM...", shell_complete=options.completed("selected")
)
@options.url
@options.state
@options.config
def trigger(items: Sequence[str], url: str | None, state: str | None, config: str | None) -> int:
    """Have the daemon check items now: an id, s3://bucket/key, or globs on entry names and keys.

    \b
      mirrord trigger 'releases/*'
      mirrord trigger s3://datasets/geo/city.mmdb --url http://127.0.0.1:8420

    Needs the API token in $MIRRORD_API_TOKEN. Exit code: 0 triggered, 1 no daemon runs or it refused, or a
    GLOB_OR_ITEM matches nothing; the others are triggered in any case.
    """
    _checked_url(url)
    address = url or _daemon_url(_state_location(config, state))
    token = own_token()
    if not token:
        raise click.UsageError(f"trigger needs the API token: set {TOKEN} to the manifest's daemon.api_token")
    from mirrord.cli.api_client import ApiClient  # `status` without a daemon needs no HTTP client, which takes 0.1 s
    from mirrord.cli.trigger import trigger_all

    done = run(trigger_all(ApiClient(address, token), items))
    for line in done.lines:
        print_line(line)
    for problem in done.problems:
        print_line(f"mirrord: {problem}", err=True)
    return FAILED if done.problems else 0


def _state_location(config: str | None, state: str | None) -> StateLocation:
    try:
        location = locate_state(config, state, os.environ)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    for problem in location.problems:
        click.echo(f"mirrord: {problem}; looking in {location.settings.directory}", err=True)
    return location


def _checked_url(url: str | None) -> None:
    try:
        checked_address(url or "http://127.0.0.1")
    except ValueError as error:
        raise click.UsageError(f"--url: {error}") from error


def _daemon_url(location: StateLocation) -> str:
    daemon = running_daemon(location.settings.directory)
    if daemon is None:
        raise NoDaemon(
            f"no daemon runs on the state in {location.settings.directory}; start one with `mirrord run`, or name it "
            "with --url, --state or --config"
        )
    if not daemon.url:
        raise NoDaemon(f"the daemon (pid {daemon.pid}) has no HTTP server: set daemon.listen in its manifest")
    return daemon.url


def _print_status(shown: Overview, in_json: bool) -> None:
    if in_json:
        click.echo(json.dumps(status_in_json(shown), indent=2))
    else:
        for line in lines(shown, time.time()):
            print_line(line)
