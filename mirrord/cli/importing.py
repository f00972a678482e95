"""`mirrord import`: a manifest from the configurations and command lines of other tools."""

import os
import stat
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import click

from mirrord.cli import options
from mirrord.errors import PathMissing
from mirrord.importing.draft import imported
from mirrord.importing.entries import accepted
from mirrord.importing.inputs import InputText
from mirrord.importing.values import ImportRefused, Machine
from mirrord.manifest.files import read_file
from mirrord.manifest.schema.texts import TimeZone, is_bucket
from mirrord.sources.folder.overlap_check import OverlapCheck
from mirrord.sources.mounts import Mounts
from mirrord.units import MiB

LARGEST_INPUT = 64 * MiB
_LOCALTIME = "/etc/localtime"
_ZONES = "zoneinfo/"


@click.command("import")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", shell_complete=options.files)
@click.option(
    "--output",
    "-o",
    metavar="FILE",
    shell_complete=options.files,
    help="Write the manifest to this file, not to standard output.",
)
@click.option("--force", is_flag=True, help="Replace the file of --output if it exists.")
@click.option("--to", metavar="s3://BUCKET/PREFIX/", help="The objects of a list, which names no bucket itself.")
@click.option(
    "--timezone", metavar="ZONE", help="Time zone of crontabs and of --bwlimit; default: that of this machine."
)
def import_command(files: Sequence[str], output: str | None, force: bool, to: str | None, timezone: str | None) -> int:
    """Make one manifest of the FILEs of other tools: rclone.conf, crontabs and scripts with lines of rclone, aws s3 and
    s5cmd, files for `s5cmd run`, lists of sources. `-` is standard input.

    \b
      mirrord import rclone.conf sync.sh --output mirrord.yaml
      crontab -l | mirrord import -
      mirrord import urls.txt --to s3://bucket/mirror/

    The manifest goes to standard output. What it lacks is named on stderr and in its comments, with file and line.
    It has no secrets: keys become variables. Exit code: 0 written, also if something was not carried over; 1 nothing
    could be imported; 2 wrong usage, or a FILE that does not exist.
    """
    _check(output, force, to, timezone)
    machine = Machine(os.getcwd(), timezone or _local_zone(), _is_file, OverlapCheck(Mounts.now()))
    result = imported([InputText(file, _content(file)) for file in files], machine, to)
    for remark in result.remarks:
        click.echo(f"mirrord: {remark}", err=True)
    if not result.entries and not result.stores:
        raise click.ClickException("nothing could be carried over: no manifest was written")
    if output is None:
        click.echo(result.text, nl=False)
    else:
        _write(output, result.text, force=force)
    click.echo(f"mirrord: {_counted(result.entries, len(result.remarks))}", err=True)
    return 0


def _check(output: str | None, force: bool, to: str | None, timezone: str | None) -> None:
    if output is not None and os.path.lexists(output) and not force:
        raise click.UsageError(f"--output: {output} exists; --force replaces it")
    if to is not None and not (to.startswith("s3://") and is_bucket(to.removeprefix("s3://").partition("/")[0])):
        raise click.UsageError("--to is no prefix of objects; write s3://bucket/prefix/")
    if timezone is not None and not accepted(TimeZone, timezone):
        raise click.UsageError("--timezone is no time zone; write it like Europe/Berlin or UTC")


def _content(file: str) -> bytes:
    try:
        content = read_file(file, LARGEST_INPUT, pipe=True)
    except FileNotFoundError:
        raise PathMissing(f"{file}: no such file") from None
    except OSError as error:
        raise ImportRefused(f"{file}: cannot be read: {error.strerror}") from error
    if len(content) > LARGEST_INPUT:
        raise ImportRefused(f"{file}: is larger than 64 MiB")
    return content


def _local_zone() -> str | None:
    """The time zone of this machine: TZ, else the file that /etc/localtime leads to, else /etc/timezone."""
    candidates = [os.environ.get("TZ", "").removeprefix(":")]
    with suppress(OSError):
        candidates.append(os.path.realpath(_LOCALTIME).partition(_ZONES)[2])
    with suppress(OSError, UnicodeDecodeError):
        candidates.append(Path("/etc/timezone").read_text().strip())
    return next((name for name in candidates if name and accepted(TimeZone, name)), None)


def _is_file(path: str) -> bool | None:
    try:
        mode = os.stat(os.path.expanduser(path)).st_mode
    except (OSError, ValueError):
        return None
    return not stat.S_ISDIR(mode)


def _write(output: str, text: str, *, force: bool) -> None:
    """The whole file or nothing; an existing file only with `force`."""
    directory = os.path.dirname(output) or "."
    try:
        with tempfile.NamedTemporaryFile("w", dir=directory, prefix=".mirrord-import-", delete=False) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.chmod(file.name, 0o644)
            if force:
                os.replace(file.name, output)
            else:
                os.link(file.name, output)  # fails if the file exists by now
        finally:
            with suppress(FileNotFoundError):
                os.unlink(file.name)
    except FileExistsError:
        raise click.UsageError(f"--output: {output} exists; --force replaces it") from None
    except OSError as error:
        raise ImportRefused(f"{output}: cannot be written: {error.strerror}") from error


def _counted(entries: int, remarks: int) -> str:
    what = f"{entries} entr{'y' if entries == 1 else 'ies'} written"
    return f"{what}, {remarks} remark{'' if remarks == 1 else 's'} on what was not carried over" if remarks else what
