"""`mirrord demo`: mirrord in one directory, with an embedded store, a sample origin, a manifest and an inbox.

Owns the printed instructions and the choice of a free port. The work is that of `daemon.run`, or with `--once` of
`programs.api.sync`, as for any manifest.
"""

import errno
import os
import shlex
import socket
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import click

from mirrord.cli import options
from mirrord.cli.process.running import run, run_daemon
from mirrord.cli.process.signals import process
from mirrord.cli.show.lines import print_line, summary
from mirrord.cli.show.progress import showing_progress
from mirrord.daemon.run import serve
from mirrord.demo.directory import ORIGIN, DemoDirectory
from mirrord.demo.sample_origin import SampleOrigin
from mirrord.errors import ListenFailed, ManifestError
from mirrord.events import DaemonReady, Event
from mirrord.frozen import frozen
from mirrord.model import ProviderName
from mirrord.programs.api import sync
from mirrord.programs.desired import Desired, read
from mirrord.programs.report import Report
from mirrord.s3.embedded.store import EmbeddedStore
from mirrord.settings import Settings, parse_listen
from mirrord.units import MiB, format_size

ORIGIN_PORT = 8421
"""The preferred port of the origin: with the same address, the next demo copies nothing again."""
PACE = 12 * MiB
"""Bytes per second that the origin of the live demo sends."""
NEWS_EVERY = 20.0


@click.command()
@click.option("--once", is_flag=True, help="Make two passes, then end with a summary.")
@click.option("--dir", "directory", default="demo", show_default=True, help="Directory of the demo.")
@options.verbose
def demo(once: bool, directory: str, verbose: bool) -> int:
    """See it work: embedded store, sample origin, sample manifest and inbox in ./demo. Ctrl-C ends it.

    \b
      mirrord demo
      mirrord demo --once --dir /tmp/demo

    Exit code: 0 ended by Ctrl-C or SIGTERM; with --once those of sync.
    """
    demo_directory = DemoDirectory(Path(directory).absolute())
    demo_directory.prepare()
    if once:
        return run(_two_passes(demo_directory, verbose=verbose))
    try:
        run_daemon(_live(demo_directory, verbose=verbose))
    except KeyboardInterrupt:  # before the daemon handled signals
        click.echo("demo: ended before it began", err=True)
    return 0


# ── live ──────────────────────────────────────────────────────────────────────────────────────────
@frozen
class Welcome:
    """Prints where everything is, once the daemon is ready. `wanted` is the address that the page should have had."""

    demo_directory: DemoDirectory
    origin: str
    store: EmbeddedStore | None
    keys: Path
    wanted: str

    def __call__(self, event: Event) -> None:
        if isinstance(event, DaemonReady):
            for line in self._lines(event.url):
                print_line(line)

    def _lines(self, page: str) -> list[str]:
        port = self.wanted.rpartition(":")[2]
        taken = f"   ({self.wanted} is taken)" if page and port != "0" and not page.endswith(f":{port}") else ""
        lines = [
            "",
            "The demo runs; Ctrl-C ends it.",
            f"  page      {page or 'none: listen is off'}{taken}",
            f"  manifest  {self.demo_directory.manifest}",
            "            edit and save it: the page follows",
            f"  inbox     {self.demo_directory.inbox}",
            "            drop a file: it becomes an object",
            f"  status    {command('status', '--config', str(self.demo_directory.manifest))}",
        ]
        if self.store is not None:
            lines += [f"  store     {self.store.endpoint_url}", f"            for any S3 client; keys in {self.keys}"]
        return [*lines, f"  origin    {self.origin}", ""]


def command(*arguments: str) -> str:
    """This program with other arguments, for a terminal with any PATH and directory."""
    program = Path(sys.argv[0])
    this = [sys.executable, "-m", "mirrord"] if program.suffix == ".py" else [str(program.absolute())]
    return shlex.join([*this, *arguments])


async def _live(demo_directory: DemoDirectory, *, verbose: bool) -> None:
    async with AsyncExitStack() as life:
        origin = await life.enter_async_context(SampleOrigin(port=ORIGIN_PORT, pace=PACE, news_every=NEWS_EVERY))
        environ = {**os.environ, ORIGIN: origin.url}
        desired = read([str(demo_directory.manifest)], environ)
        if not desired.sound:
            raise ManifestError(desired.problems)
        wanted = _settings(desired, environ)
        observer = life.enter_context(showing_progress(wanted, verbose=verbose))
        store = await life.enter_async_context(EmbeddedStore(wanted.directory)) if _embeds(desired) else None
        observer.add(Welcome(demo_directory, origin.url, store, wanted.directory / "embedded.json", wanted.listen))
        manifests, settings = [str(demo_directory.manifest)], on_a_free_port(wanted)
        try:
            await serve(manifests, settings, environ, observer, process)
        except ListenFailed:  # perhaps another program took the port since it was free
            if settings is not wanted or (settings := on_a_free_port(wanted)) is wanted:
                raise
            await serve(manifests, settings, environ, observer, process)


def _settings(desired: Desired, environ: Mapping[str, str]) -> Settings:
    try:
        return desired.settings({}, environ)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _embeds(desired: Desired) -> bool:
    return any(store.provider is ProviderName.EMBEDDED for store in desired.loaded.stores.values())


def on_a_free_port(settings: Settings) -> Settings:
    """The same settings if their address is free or invalid; with any free port if it is in use."""
    if settings.listen == "none" or settings.listen.startswith("unix:"):
        return settings
    try:
        host, port = parse_listen(settings.listen)
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            return settings
    except ValueError as error:
        raise click.UsageError(f"daemon.listen: {error}") from error
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            return settings  # the server reports the error
        return replace(settings, listen=settings.listen.rpartition(":")[0] + ":0")


# ── once ──────────────────────────────────────────────────────────────────────────────────────────
async def _two_passes(demo_directory: DemoDirectory, *, verbose: bool) -> int:
    async with SampleOrigin(port=ORIGIN_PORT) as origin:
        environ = {**os.environ, ORIGIN: origin.url}
        click.echo(f"demo: manifest {demo_directory.manifest}, inbox {demo_directory.inbox}, origin {origin.url}")
        reports: list[Report] = []
        for number in (1, 2):
            before = origin.body_bytes
            settings = _settings(read([str(demo_directory.manifest)], environ), environ)
            with showing_progress(settings, verbose=verbose) as observer:
                reports.append(await sync([str(demo_directory.manifest)], environ=environ, observer=observer))
            click.echo(f"pass {number}: {summary(reports[-1])}; the origin sent {_sent(origin.body_bytes - before)}")
    return int(any(report.failed or report.problems for report in reports))


def _sent(count: int) -> str:
    return f"{format_size(count)} of bodies" if count else "no body bytes"
