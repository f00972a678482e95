"""`mirrord history` and `mirrord restore`: through a running daemon, else on the journal."""

import json
from typing import TYPE_CHECKING

import click

from mirrord.cli import options
from mirrord.cli.daemon_address import TOKEN, own_token
from mirrord.cli.process.running import run
from mirrord.cli.recorded import daemon_url, declared_stores, desired_of, state_location
from mirrord.cli.show.history import history_lines
from mirrord.cli.show.lines import print_line
from mirrord.cli.show.progress import showing_progress
from mirrord.errors import ManifestError
from mirrord.programs.history import NoItem, key_of, only_one, recorded_history, restore_version
from mirrord.status import ItemHistory, ItemStatus, Restored

if TYPE_CHECKING:
    from mirrord.cli.api_client import ApiClient

_PAGE = 1_000  # the API's limit for a page


@click.command()
@options.item
@click.option("--json", "in_json", is_flag=True, help="One JSON document.")
@options.url
@options.state
@options.config
def history(item: str, in_json: bool, url: str | None, state: str | None, config: str | None) -> int:
    """Show the objects that ITEM had, its failed attempts, and the versions at its store, the newest first.

    ITEM is an id, s3://bucket/key, or a key that only one item has. Without a daemon the journal is read, and the
    store is asked if the manifests of --config declare it.

    \b
      mirrord history datasets/city.mmdb
      mirrord history s3://datasets/city.mmdb --json

    Exit code: 0 shown, 1 there is no such item, or the journal cannot be read.
    """
    location = state_location(url, state, config)
    address = url or daemon_url(location)
    if address:
        shown = run(_asked_history(address, item))
    else:
        shown = run(recorded_history(location.settings, declared_stores(config), item))
    if in_json:
        from mirrord.web.as_json import as_json

        click.echo(json.dumps(as_json(shown), indent=2))
        return 0
    for line in history_lines(shown):
        print_line(line)
    return 0


@click.command()
@options.item
@click.option("--version", "version_id", required=True, metavar="V", help="A version that `mirrord history` shows.")
@options.url
@options.state
@options.config
def restore(item: str, version_id: str, url: str | None, state: str | None, config: str | None) -> int:
    """Make version V of ITEM's object current again: the store copies it, and no byte passes through mirrord.

    The object stays until the source has another revision; plan and sync leave it alone. A daemon needs the token in
    $MIRRORD_API_TOKEN. Without a daemon the state is locked, and --config names the manifests.

    \b
      mirrord history s3://datasets/city.mmdb
      mirrord restore s3://datasets/city.mmdb --version 3HL4kqtJvjVBH40N

    Exit code: 0 the version is current, 1 it cannot be restored, 75 another mirrord holds the state.
    """
    location = state_location(url, state, config)
    address = url or daemon_url(location)
    if address:
        restored = run(_asked_restore(address, item, version_id))
    else:
        desired = desired_of(config)
        if desired.problems and not desired.loaded.stores:
            raise ManifestError(desired.problems)
        with showing_progress(location.settings, verbose=False) as observer:
            restored = run(restore_version(location.settings, desired, observer, item, version_id))
    print_line(f"{restored.destination}: version {restored.version} is current, until its source changes")
    return 0


async def _asked_history(address: str, which: str) -> ItemHistory:
    from mirrord.cli.api_client import ApiClient

    async with ApiClient(address, own_token()) as api:
        shown = await api.history(which) if _is_id(which) else None
        shown = shown or await api.history((await _asked_item(api, which)).id)
        if shown is None:
            raise NoItem(f"{which}: nothing is recorded of it yet")
        return shown


async def _asked_restore(address: str, which: str, version_id: str) -> Restored:
    from mirrord.cli.api_client import ApiClient

    token = own_token()
    if not token:
        raise click.UsageError(f"restore needs the API token: set {TOKEN} to the manifest's daemon.api_token")
    async with ApiClient(address, token) as api:
        item_id = which if _is_id(which) else (await _asked_item(api, which)).id
        return await api.restore(item_id, version_id)


def _is_id(which: str) -> bool:
    return len(which) == 16 and not set(which) - set("0123456789abcdef")


async def _asked_item(api: "ApiClient", which: str) -> ItemStatus:
    from mirrord.cli.trigger import literal

    found, cursor = dict[str, tuple[str, ItemStatus]](), ""
    while True:
        page = await api.items(text=literal(key_of(which)), cursor=cursor, limit=_PAGE)
        for one in page.items:
            if which in (key_of(one.destination), one.destination):
                found[one.id] = one.destination, one
        if page.cursor is None:
            return only_one(which, found)
        cursor = page.cursor
