"""Options that several commands share. `manifests` has what they result in; this module imports click only."""

import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def _share(_: click.Context, __: click.Parameter, text: str | None) -> float | None:
    """`50%` as 0.5."""
    if text is None:
        return None
    if not re.fullmatch(r"\d{1,3}(\.\d+)?%", text) or float(text[:-1]) > 100:
        raise click.BadParameter(f"{text!r} is not a percentage; write it like 50%")
    return float(text[:-1]) / 100


item = click.argument("item", metavar="ITEM")
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
    click.option("--bandwidth", metavar="RATE", help="Bytes that are read a second, like 20MiB/s, or unlimited."),
    click.option("--log-format", metavar="FORMAT", help="auto, console or json."),
    click.option("--log-level", metavar="LEVEL", help="debug, info, warning or error."),
)


verbose = click.option("--verbose", "-v", is_flag=True, help="At a terminal, a line for each item, not only problems.")
listen = click.option(
    "--listen", metavar="HOST:PORT", help="Address of page, API and metrics; unix:PATH; none: no HTTP server."
)
hosts = click.option("--hosts", metavar="NAMES", help="More host names that page and API answer to: a,b.")


def running(command: F) -> F:
    """Add the flags that override settings."""
    for option in reversed(_RUNNING):
        command = option(command)
    return command
