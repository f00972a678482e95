"""The manifests that a command names: the desired state, the settings, and the usage errors about them."""

import os
from collections.abc import Sequence

import click

from mirrord.programs.desired import Desired, matches, read
from mirrord.settings import Settings, default_config


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
        return desired.settings(flags, os.environ)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
