"""`mirrord link`: a URL that fetches the object of an item."""

import json

import click

from mirrord.cli import options
from mirrord.cli.process.running import run
from mirrord.cli.recorded import desired_of, state_location
from mirrord.daemon.presence import running_daemon
from mirrord.errors import ManifestError
from mirrord.programs.link import LONGEST, ItemLink, link_item
from mirrord.units import format_duration, parse_duration


def _seconds(_: click.Context, __: click.Parameter, text: str) -> int:
    try:
        seconds = int(parse_duration(text))
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    if not 1 <= seconds <= LONGEST:
        raise click.BadParameter(f"{text!r} is not from 1s to {format_duration(LONGEST)}, the longest that S3 allows")
    return seconds


@click.command()
@options.item
@click.option(
    "--expires", default="1h", show_default=True, callback=_seconds, metavar="DURATION", help="From 1s to 7d."
)
@click.option("--json", "in_json", is_flag=True, help="One JSON document.")
@options.state
@options.config
def link(item: str, expires: int, in_json: bool, state: str | None, config: str | None) -> int:
    """Print a presigned URL: who has it can fetch the object of ITEM until it ends, without credentials.

    ITEM is an id, s3://bucket/key, or a key that only one item has. The store is that of the manifests of --config. It
    is asked first whether the object can be fetched. Takes no lock, and runs beside a daemon.

    \b
      mirrord link datasets/city.mmdb
      mirrord link s3://datasets/city.mmdb --expires 7d --json
      curl -fO "$(mirrord link datasets/city.mmdb --expires 10m)"

    Exit code: 0 printed, 1 there is no such item or object, or no URL that works so long.
    """
    location = state_location(None, state, config)
    desired = desired_of(config)
    if desired.problems and not desired.loaded.stores:
        raise ManifestError(desired.problems)
    if not desired.files:
        raise click.UsageError("no manifest declares the store: name one with --config")
    served = running_daemon(location.settings.directory) is not None
    found = run(link_item(location.settings, desired.loaded.stores, item, expires, served=served))
    click.echo(json.dumps(_in_json(found), indent=2) if in_json else found.link.url)
    if note := _note(found):
        click.echo(f"mirrord: {note}", err=True)
    return 0


def _in_json(found: ItemLink) -> dict[str, object]:
    at, made = found.record.destination, found.link
    return {
        "id": found.record.item_id,
        "store": at.store,
        "destination": str(at),
        "url": made.url,
        "signed": made.ends is not None,
        "expires": None if made.ends is None else round(made.ends, 3),
        "keys_may_end": made.keys_may_end,
    }


def _note(found: ItemLink) -> str:
    """What the URL does not show; empty: nothing."""
    name = found.record.destination.store
    if found.link.ends is None:
        return f"the store {name!r} is anonymous: the URL is not signed, and does not end"
    if found.link.keys_may_end:
        return f"the keys of the store {name!r} are temporary: the URL ends with them, perhaps sooner"
    return ""
