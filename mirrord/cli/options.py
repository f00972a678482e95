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


Completed = Callable[[click.Context, click.Parameter, str], list[Any]]


def completed(kind: str) -> Completed:
    """Completes values of a kind of `candidates`, which is imported when a shell asks."""

    def complete(ctx: click.Context, _: click.Parameter, typed: str) -> list[Any]:
        from mirrord.cli.candidates import candidates

        return candidates(kind, ctx, typed)

    return complete


def files(_: click.Context, __: click.Parameter, typed: str) -> list[Any]:
    """Completes names of files, which the shell finds."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(typed, type="file")]


def words(*known: str) -> Completed:
    """Completes these words."""
    return lambda _, __, typed: [one for one in known if one.startswith(typed)]


item = click.argument("item", metavar="ITEM", shell_complete=completed("items"))
paths = click.argument("paths", nargs=-1, metavar="[PATH]...", shell_complete=files)
only = click.option(
    "--only",
    multiple=True,
    metavar="GLOB",
    shell_complete=completed("selected"),
    help="Only entries or keys that match; repeatable.",
)
prune_max = click.option(
    "--prune-max",
    callback=_share,
    metavar="PERCENT",
    help="The largest share of an entry's objects to delete; else ten objects, or a tenth.",
)
config = click.option("--config", metavar="PATH", shell_complete=files, help="Manifests of the daemon.")
url = click.option("--url", metavar="URL", help="URL of a running daemon; default: the daemon of the state.")
state = click.option(
    "--state",
    metavar="PATH",
    shell_complete=files,
    help="The journal: a directory, sqlite:///path/state.db, or postgresql://host/database.",
)

_RUNNING = (
    state,
    click.option("--transfers", metavar="N", help="Transfers at a time."),
    click.option("--memory-limit", metavar="SIZE", help="All part buffers together, like 256MiB."),
    click.option("--bandwidth", metavar="RATE", help="Bytes that are read a second, like 20MiB/s, or unlimited."),
    click.option(
        "--log-format",
        metavar="FORMAT",
        shell_complete=words("auto", "console", "json"),
        help="auto, console or json.",
    ),
    click.option(
        "--log-level",
        metavar="LEVEL",
        shell_complete=words("debug", "info", "warning", "error"),
        help="debug, info, warning or error.",
    ),
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
