"""Options that several commands share, and the settings that result from them."""

import os
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from mirrord.programs.api import settings_for
from mirrord.programs.desired import Desired, matches, read
from mirrord.settings import Settings, default_config

F = TypeVar("F", bound=Callable[..., Any])


def _share(_: click.Context, __: click.Parameter, text: str | None) -> float | None:
    """`50%` as 0.5."""
    if text is None:
        return None
    if not re.fullmatch(r"\d{1,3}(\.\d+)?%", text) or float(text[:-1]) > 100:
        raise click.BadParameter(f"{text!r} is not a percentage; write it like 50%")
    return float(text[:-1]) / 100


paths = click.argument("paths", nargs=-1, metavar="[PATH]...")
only = click.option("--only", multiple=True, metavar="GLOB", help="Only entries or keys that match; repeatable.")
prune_max = click.option(
    "--prune-max",
    callback=_share,
    metavar="PERCENT",
    help="The largest share of an entry's objects to delete; else ten objects, or a tenth.",
)
config = click.option("--config", metavar="PATH", help="Manifests of the daemon.")
url = click.option("--url", metavar="URL", help="URL of a running daemon; default: the daemon of the state.")
state = click.option("--state", metavar="PATH", help="The journal: sqlite:///path/state.db, or a directory.")

_RUNNING = (
    state,
    click.option("--transfers", metavar="N", help="Transfers at a time."),
    click.option("--memory-limit", metavar="SIZE", help="All part buffers together, like 256MiB."),
    click.option("--log-format", metavar="FORMAT", help="auto, console or json."),
    click.option("--log-level", metavar="LEVEL", help="debug, info, warning or error."),
)


verbose = click.option("--verbose", "-v", is_flag=True, help="At a terminal, a line for each item, not only problems.")
listen = click.option("--listen", metavar="HOST:PORT", help="Address of page, API and metrics; none: no HTTP server.")
hosts = click.option("--hosts", metavar="NAMES", help="More host names that page and API answer to: a,b.")


def running(command: F) -> F:
    """Add the flags that override settings."""
    for option in reversed(_RUNNING):
        command = option(command)
    return command


def desired_at(given: Sequence[str]) -> Desired:
    """The desired state of the manifests at PATH...; a usage error if there is no manifest."""
    paths = given or [default_config(os.environ)]
    desired = read(paths, os.environ)
    require_files(paths, desired.files)
    return desired


def require_files(paths: Sequence[str], files: Sequence[str]) -> None:
    """A usage error if there is no manifest at `paths`."""
    if not files:
        raise click.UsageError(f"no manifest in {', '.join(paths)}: a directory is searched for *.yaml and *.yml")


def require_match(desired: Desired, only: Sequence[str], seen: int) -> None:
    """A usage error if `--only` was given and matches nothing; `seen`: the number of items of the run."""
    folders = (folder.entry for folder in desired.expansion.folders)
    if only and not seen and not desired.problems and not any(matches(entry, "", only) for entry in folders):
        raise click.UsageError(f"--only {' '.join(only)}: no entry has such a name, and no item such a key")


def checked(desired: Desired, flags: dict[str, str | None]) -> Settings:
    """The settings, or a usage error that names the flag or variable."""
    try:
        return settings_for(desired, flags, os.environ)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
