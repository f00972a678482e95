"""`mirrord run`, the daemon, and `mirrord worker`."""

import os
from collections.abc import Sequence
from contextlib import suppress

import click

from mirrord.cli import options
from mirrord.cli.manifests import checked
from mirrord.cli.process import running
from mirrord.cli.process.signals import process
from mirrord.cli.show.progress import observing
from mirrord.daemon.run import serve, serve_worker
from mirrord.errors import ManifestError
from mirrord.programs.desired import read
from mirrord.settings import Settings, default_config


@click.command()
@options.paths
@options.listen
@options.hosts
@options.running
def run(paths: Sequence[str], **flags: str | None) -> int:
    """Keep the stores equal to the manifests and folders at PATH..., until SIGTERM. SIGHUP reads all again.

    \b
      mirrord run
      mirrord run /etc/mirrord --listen 127.0.0.1:8420
      mirrord run mirrord.yaml --log-level debug

    Exit code: 0 stopped, 1 it cannot run, 75 another mirrord holds the state, 78 no manifest is valid.
    """
    paths = paths or [default_config(os.environ)]
    settings = _settings(paths, flags)
    with observing(settings.log_format, settings.log_level) as observer, suppress(KeyboardInterrupt):  # at startup
        running.run_daemon(serve(paths, settings, os.environ, observer, process, flags))
    return 0


@click.command()
@options.paths
@options.listen
@options.hosts
@options.running
def worker(paths: Sequence[str], **flags: str | None) -> int:
    """Check items for the `mirrord run` that leads, until SIGTERM; never lead. Needs a state in PostgreSQL.

    \b
      mirrord worker
      mirrord worker /etc/mirrord --state postgresql://mirrord@db.example/mirrord

    For machines without the folders of the manifests. PATH... are the manifests of the one that leads.

    Exit code: 0 stopped, 1 it cannot run, 75 this host already runs one, 78 no manifest is valid.
    """
    paths = paths or [default_config(os.environ)]
    settings = _settings(paths, flags)
    with observing(settings.log_format, settings.log_level) as observer, suppress(KeyboardInterrupt):
        running.run_daemon(serve_worker(paths, settings, os.environ, observer, process))
    return 0


def _settings(paths: Sequence[str], flags: dict[str, str | None]) -> Settings:
    """The settings of the process. The daemon reads the manifests again, so that they are not kept here."""
    desired = read(paths, os.environ, again=True)
    if desired.problems and not desired.sound:
        raise ManifestError(desired.problems)
    return checked(desired, flags)
