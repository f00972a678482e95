"""`mirrord demo`: the whole of it in one directory: an embedded store, a sample origin, a manifest and an inbox.

Owns the directory's files, which it makes once and never overwrites, and what it tells the person. The work itself is
`daemon.api.sync`, as any manifest gets it.
"""

import os
from pathlib import Path

import click

from mirrord.cli.running import run
from mirrord.cli.show import observing, summary
from mirrord.daemon.api import sync
from mirrord.daemon.report import Report
from mirrord.units import format_size
from mirrord.web.sample_origin import SampleOrigin

ORIGIN = "MIRRORD_DEMO_ORIGIN"
MANIFEST = f"""\
# The manifest of `mirrord demo`: edit it, and run the demo again.
daemon:
  state: sqlite://{{state}}/state.db
stores:
  default:
    provider: embedded
    buckets:
      demo: {{create: true}}
mirrors:
  - url: ${{{ORIGIN}}}/hello.txt
    to: s3://demo/hello.txt
  - url: ${{{ORIGIN}}}/large.bin
    to: s3://demo/downloads/
folders:
  - path: inbox
    to: s3://demo/inbox/
    settle: 1s
"""
NOTE = "Every file in this folder becomes an object below s3://demo/inbox/.\n"


@click.command()
@click.option("--once", is_flag=True, help="Make two passes, then end with a summary.")
@click.option("--dir", "directory", default="demo", show_default=True, help="Where the demo lives.")
def demo(once: bool, directory: str) -> int:
    """See it work: embedded store, sample origin, sample manifest and inbox in ./demo."""
    if not once:
        raise click.UsageError("the live demo comes with the daemon; today there is: mirrord demo --once")
    place = prepared(Path(directory).absolute())
    return run(_twice(place))


def prepared(place: Path) -> Path:
    """The demo's directory with whatever is missing in it."""
    (place / "inbox").mkdir(parents=True, exist_ok=True)
    for name, content in (("mirrord.yaml", _manifest(place)), ("inbox/note.txt", NOTE)):
        if not (place / name).exists():
            (place / name).write_text(content)
    return place


def _manifest(place: Path) -> str:
    return MANIFEST.replace("{state}", str(place / "state")).replace("{{", "{").replace("}}", "}")


async def _twice(place: Path) -> int:
    async with SampleOrigin() as origin:
        environ = {**os.environ, ORIGIN: origin.url}
        click.echo(f"demo: manifest {place / 'mirrord.yaml'}, inbox {place / 'inbox'}, origin {origin.url}")
        reports: list[Report] = []
        for number in (1, 2):
            before = origin.body_bytes
            with observing("auto", "info") as observer:
                reports.append(await sync([str(place / "mirrord.yaml")], environ=environ, observer=observer))
            click.echo(f"pass {number}: {summary(reports[-1])}; the origin sent {_sent(origin.body_bytes - before)}")
    return int(any(report.failed or report.problems for report in reports))


def _sent(count: int) -> str:
    return f"{format_size(count)} of bodies" if count else "no body bytes"
