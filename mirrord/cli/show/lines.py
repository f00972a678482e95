"""Lines for people: how one is printed, and the text of a report."""

from collections.abc import Iterator

import click

from mirrord.errors import printable
from mirrord.model import State
from mirrord.programs.report import Left, Report
from mirrord.units import format_duration, format_size


def print_line(line: str, *, err: bool = False) -> None:
    """Print one line to stdout, or to stderr with `err`. File names may contain control characters, and bytes that are
    not valid text."""
    click.echo(printable(line), err=err)


def summary(report: Report) -> str:
    """One line: `3 copied (64.0 MiB), 0 unchanged, 1 failed, 1 Blocked in 2s`."""
    parts = [f"{report.copied} copied ({format_size(report.bytes)})"]
    parts += [f"{report.rewritten} rewritten with new options"] * bool(report.rewritten)
    parts += [f"{report.unchanged} unchanged"]
    parts += [f"{report.deleted} deleted"] * bool(report.deleted)
    parts += [f"{count} {_word(state)}" for state, count in sorted(report.states.items())]
    return f"{', '.join(parts)} in {format_duration(report.duration)}"


def details(report: Report) -> Iterator[str]:
    """A line for each item that is not in sync, each incomplete folder, and each problem of a manifest."""
    yield from (_left(left) for left in report.left)
    yield from (f"incomplete: {folder}" for folder in report.incomplete)
    yield from (f"invalid: {problem}" for problem in report.problems)


def _left(left: Left) -> str:
    outcome = left.outcome
    reason = f" {outcome.reason.value}" if outcome.reason else ""
    return f"{_word(outcome.state)}{reason}: {left.item.destination}: {outcome.message}"


def _word(state: State) -> str:
    """A state at the end of a command: Retrying is `failed`, because there is no next try."""
    return "failed" if state is State.RETRYING else state.value
