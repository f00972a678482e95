"""Where a command finds the state, its daemon, and the stores of what the journal has."""

import os
from collections.abc import Mapping

import click

from mirrord.cli.daemon_address import checked_address
from mirrord.daemon.presence import running_daemon
from mirrord.declared import StoreOptions
from mirrord.programs.desired import Desired, read
from mirrord.programs.offline import StateLocation, locate_state
from mirrord.settings import default_config


def state_location(url: str | None, state: str | None, config: str | None) -> StateLocation:
    """A usage error for an invalid --url or --state."""
    try:
        checked_address(url or "http://127.0.0.1")
        return locate_state(config, state, os.environ)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def daemon_url(location: StateLocation) -> str:
    """Empty if no daemon runs on the state, or it has no HTTP server."""
    daemon = running_daemon(location.settings.directory)
    return daemon.url if daemon is not None else ""


def desired_of(config: str | None) -> Desired:
    """The manifests of --config, else the default ones; without files if there are none."""
    path = config or default_config(os.environ)
    return read([path] if config or os.path.exists(path) else [], os.environ)


def declared_stores(config: str | None) -> Mapping[str, StoreOptions] | None:
    """The stores of the manifests; None: there is no manifest."""
    desired = desired_of(config)
    return desired.loaded.stores if desired.files else None
