"""`mirrord copy`: one transfer, from the command line."""

import os
from typing import Any

import click

from mirrord.cli import options
from mirrord.cli.manifests import checked
from mirrord.cli.process.running import run
from mirrord.cli.show.progress import showing_progress
from mirrord.declared import StoreOptions
from mirrord.errors import KeyRefused, ManifestError
from mirrord.manifest.schema.document import StoreSection
from mirrord.manifest.stores import store_options
from mirrord.model import Item, ProviderName, State
from mirrord.programs.copy import bound, source_fault
from mirrord.programs.copy import copy as copy_item
from mirrord.programs.desired import Desired, read
from mirrord.units import format_size

_DESCRIPTION = ("provider", "endpoint_url", "region")
"""Flags that describe a store without a manifest."""


@click.command()
@click.argument("source", metavar="SRC", shell_complete=options.files)
@click.argument("to", metavar="s3://BUCKET/KEY")
@click.option(
    "--store",
    metavar="NAME",
    shell_complete=options.completed("stores"),
    help="A store of the manifests that --config names.",
)
@click.option("--config", metavar="PATH", shell_complete=options.files, help="Manifests that declare the store.")
@click.option(
    "--from-store",
    metavar="NAME",
    shell_complete=options.completed("stores"),
    help="The store of an s3:// SRC, of the same manifests; absent: --store.",
)
@click.option(
    "--provider",
    type=click.Choice([name.value for name in ProviderName]),
    metavar="PROVIDER",
    help=f"Kind of store: {', '.join(ProviderName)}.",
)
@click.option("--endpoint-url", metavar="URL", help="Where the store is; absent: AWS.")
@click.option("--region", metavar="REGION", help="Region of the store.")
@options.verbose
@options.running
def copy(source: str, to: str, store: str | None, config: str | None, **flags: Any) -> int:
    """Copy SRC, a URL, a path or s3://BUCKET/KEY, to one object. A TO that ends with / keeps the source's last name.

    \b
      mirrord copy https://example.org/a.iso s3://bucket/isos/
      mirrord copy ./a.iso s3://bucket/a.iso --endpoint-url http://127.0.0.1:9000
      mirrord copy s3://here/a s3://there/a --config mirrord.yaml --from-store old --store new

    A failed copy is resumed if the same command runs again within 24 hours. Exit code: 0 copied or unchanged, 1 it
    failed, 75 another mirrord holds the state, 78 a manifest is invalid.
    """
    _check_arguments(source, to)
    desired = read([config] if config else [], os.environ)
    if desired.problems:
        raise ManifestError(desired.problems)
    settings = checked(desired, flags)
    chosen = _declared(desired, store) if config else _described(**{name: flags[name] for name in _DESCRIPTION})
    origin = _source_store(desired, source, config, flags["from_store"]) or chosen
    item = _bound(source, to, chosen, origin)
    with showing_progress(settings, verbose=flags["verbose"]) as observer:
        outcome = run(copy_item(item, {one.name: one for one in (origin, chosen)}, settings, observer))
    if outcome.state is not State.SYNCED:
        raise click.ClickException(f"{item.destination}: {outcome.message}")
    moved = f"{format_size(outcome.copied.size)} copied" if outcome.copied else "unchanged"
    click.echo(f"{item.shown_source} -> {item.destination}: {moved}")
    return 0


def _check_arguments(source: str, to: str) -> None:
    if fault := source_fault(source):
        raise click.UsageError(f"SRC {fault}")
    if not to.startswith("s3://"):
        raise click.UsageError(f"{to!r} is no object; write s3://bucket/key")


def _source_store(desired: Desired, source: str, config: str | None, name: str | None) -> StoreOptions | None:
    """The store of --from-store; None: SRC is in the store of the copy."""
    if name is None:
        return None
    if not config or not source.startswith("s3://"):
        raise click.UsageError("--from-store is a store of --config, for an s3:// SRC")
    return _declared(desired, name)


def _bound(source: str, to: str, store: StoreOptions, source_store: StoreOptions) -> Item:
    try:
        return bound(source, to, store, source_store)
    except KeyRefused as error:
        raise click.UsageError(str(error)) from error


def _declared(desired: Desired, name: str | None) -> StoreOptions:
    store = desired.loaded.store_of(name)
    if store is None:
        known = ", ".join(sorted(desired.loaded.stores))
        raise click.UsageError(f"no store is called {name or 'default'}; declared are {known}")
    return store


def _described(provider: str | None, endpoint_url: str | None, region: str | None) -> StoreOptions:
    kind = ProviderName(provider) if provider else ProviderName.GENERIC if endpoint_url else ProviderName.AWS
    try:
        return store_options(
            "copy", StoreSection(provider=kind, endpoint_url=endpoint_url, region=region), "", os.environ
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error
