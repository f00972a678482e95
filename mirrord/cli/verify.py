"""`mirrord verify`: compares objects with what was stored."""

from collections.abc import Iterator, Sequence

import click

from mirrord.cli import options
from mirrord.cli.exits import FAILED, INVALID
from mirrord.cli.manifests import checked, desired_at, require_match
from mirrord.cli.process.running import run
from mirrord.cli.show.lines import print_line
from mirrord.cli.show.progress import observing
from mirrord.programs.verify import Verified
from mirrord.programs.verify import verify as verify_desired
from mirrord.units import format_duration, format_size


@click.command()
@options.paths
@options.only
@options.running
@click.option("--shallow", is_flag=True, help="Compare heads only: ETag, size and the store's checksum.")
def verify(paths: Sequence[str], only: Sequence[str], shallow: bool, **flags: str | None) -> int:
    """Read the objects of the manifests at PATH... back, and compare them with the journal and with their files.

    \b
      mirrord verify mirrord.yaml
      mirrord verify --only 'releases/*' --shallow

    Reads only; runs beside a daemon. Exit code: 0 all equal, 1 a difference, or an object that could not be checked,
    78 a manifest is invalid. Of several the last one named here.
    """
    desired = desired_at(paths)
    settings = checked(desired, flags)
    with observing(settings.log_format, settings.log_level) as observer:
        found = run(verify_desired(desired, settings, observer, only, shallow=shallow))
    require_match(desired, only, found.seen)
    for line in lines(found):
        print_line(line)
    return INVALID if found.problems else 0 if found.sound else FAILED


def lines(found: Verified) -> Iterator[str]:
    """A line for each object that differs, could not be checked, or could not be proven; then the summary."""
    yield from (f"differs {one.at}: {one.message}" for one in found.differing)
    yield from (f"failed {one.at}: {one.message}" for one in found.failed)
    yield from (f"unproven {one.at}: {one.message}" for one in found.unproven)
    yield from (f"invalid {problem}" for problem in found.problems)
    yield summary(found)


def summary(found: Verified) -> str:
    """`30 equal, 1 differs; 1.0 GiB read in 2s`."""
    counts = [f"{found.equal} equal" + (f" ({len(found.unproven)} unproven)" if found.unproven else "")]
    counts += [f"{len(found.differing)} {'differs' if len(found.differing) == 1 else 'differ'}"] * bool(found.differing)
    counts += [f"{len(found.failed)} failed"] * bool(found.failed)
    return f"{', '.join(counts)}; {format_size(found.bytes)} read in {format_duration(found.duration)}"
