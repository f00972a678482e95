"""The command group: the list of commands, and the exit code of each kind of error.

Owns the mapping from errors to exit codes, and `--version`. A command's module is imported only when
the command is used, so that `--help` is fast.
"""

import errno
import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import click

from mirrord._version import __version__
from mirrord.cli.exits import CLOSED, FAILED, INVALID, LOCKED, USAGE
from mirrord.cli.process.standard_streams import OutputFailed, discard_output, written
from mirrord.errors import JournalLocked, ManifestError, MirrordError, PathMissing

_COMMANDS = {
    "run": ("mirrord.cli.run", "the daemon: follow manifests and folders until it is stopped"),
    "sync": ("mirrord.cli.sync", "check every item now, copy what differs, and end"),
    "plan": ("mirrord.cli.plan", "show what sync would do, and why"),
    "validate": ("mirrord.cli.validate", "check manifests, offline"),
    "verify": ("mirrord.cli.verify", "read objects back, and compare them with the journal and with files"),
    "doctor": ("mirrord.cli.doctor", "find out what is wrong, what it means, and how to fix it"),
    "status": ("mirrord.cli.status_commands", "show what the daemon does, or did"),
    "trigger": ("mirrord.cli.status_commands", "have the daemon check items now"),
    "history": ("mirrord.cli.history_commands", "show the past of an item: objects, failures, versions"),
    "restore": ("mirrord.cli.history_commands", "make an older version of an item's object current again"),
    "link": ("mirrord.cli.link", "print a URL that fetches an item's object for some time, without credentials"),
    "worker": ("mirrord.cli.run", "check items for the `mirrord run` that leads; with a state in PostgreSQL"),
    "migrate": ("mirrord.cli.migrate", "bring the journal in PostgreSQL to the schema of this mirrord"),
    "state": ("mirrord.cli.state", "copy the journal to another directory or database"),
    "schema": ("mirrord.cli.validate", "print the JSON Schema of manifests, for editors"),
    "copy": ("mirrord.cli.transfer_commands", "copy one URL or file to one object"),
    "import": ("mirrord.cli.importing", "make a manifest of the files and command lines of rclone, aws and s5cmd"),
    "completion": ("mirrord.cli.completion", "print the script that makes bash, zsh or fish complete commands"),
    "demo": ("mirrord.cli.demo", "a demonstration: embedded store, sample origin and inbox in ./demo"),
}
_KEYWORDS = {"import": "import_command"}
"""Names of functions for commands whose name Python keeps for itself."""


class Commands(click.Group):
    """A group that imports a command when it is used."""

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        with written():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: click.Context) -> Any:
        with written():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        with _uncollected():
            command = getattr(import_module(_COMMANDS[cmd_name][0]), _KEYWORDS.get(cmd_name, cmd_name))
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name in _COMMANDS or name.startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        raise click.UsageError(f"No such command {name!r}.{_meant(name)}", ctx)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """As click's, without the import of all commands."""
        from click.shell_completion import CompletionItem

        ours = [CompletionItem(name, help=what) for name, (_, what) in _COMMANDS.items() if name.startswith(incomplete)]
        return [*ours, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, what) for name, (_, what) in _COMMANDS.items()])


def _meant(name: str) -> str:
    """A question that names the commands that look like it."""
    from difflib import get_close_matches

    near = get_close_matches(name.lower(), _COMMANDS, cutoff=0.5)
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""


@contextmanager
def _uncollected() -> Iterator[None]:
    """Imports create 150,000 permanent objects: the garbage collector skips them, now and later (0.1 s each time)."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mirrord")
def commands() -> None:
    """Keep S3-compatible stores equal to YAML manifests and watched folders."""


def invoke(arguments: Sequence[str]) -> int:
    """Run one command line; returns its exit code. Every expected error is one message on stderr."""
    try:
        with written():
            return _invoked(arguments)
    except OutputFailed as error:
        discard_output()
        return error.code if error.code == CLOSED else _ended(error, error.code)


def _invoked(arguments: Sequence[str]) -> int:
    try:
        code: Any = commands.main(list(arguments), prog_name="mirrord", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _ended("interrupted", FAILED)
    except PathMissing as error:
        return _ended(error, USAGE)
    except ManifestError as error:
        return _ended(error, INVALID)
    except JournalLocked as error:
        return _ended(error, LOCKED)
    except MirrordError as error:
        return _ended(error, FAILED)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        return _ended(f"cannot write {error.filename or 'a file'}: {error.strerror}; free some space", FAILED)
    return code if isinstance(code, int) else 0


def _ended(why: object, code: int) -> int:
    click.echo(f"mirrord: {why}", err=True)
    return code
