"""The tables of docs/cli.md, docs/events.md, docs/exit-codes.md, docs/reasons.md and docs/variables.md, made from the
code. `reference` writes them."""

import io
import json
import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import click

from mirrord.advice import ADVICE
from mirrord.cli import exits
from mirrord.cli.main import commands
from mirrord.errors import LeftOut, Problem, Reason
from mirrord.events import Event
from mirrord.model import Copied, Destination, Integrity, Item, Revision, State, TransferKind, origin_at
from mirrord.settings import Settings
from mirrord.telemetry import logs
from mirrord.telemetry.log_observer import LogObserver
from mirrord.units import MiB

_AT = Destination(store="default", endpoint="https://s3.example.org", bucket="datasets", key="a.csv")
_ITEM = Item(id=_AT.item_id, entry="a", origin=origin_at("https://example.org/a.csv"), destination=_AT)
_SAMPLES: dict[str, Any] = {
    "item": _ITEM,
    "items": lambda: iter([_ITEM]),
    "kind": TransferKind.MULTIPART,
    "reason": Reason.SOURCE_MISSING,
    "state": State.BLOCKED,
    "problems": (Problem("a.yaml", 1, 1, "mirrors", "unknown"),),
    "left_out": (LeftOut("link", 1, "a"),),
    "copied": Copied(
        transfer_id="t",
        revision=Revision(address="a"),
        kind=TransferKind.MULTIPART,
        size=1,
        parts=1,
        etag="e",
        checksum=None,
        integrity=Integrity.MD5,
    ),
}
_ALWAYS = {"event", "level", "timestamp"}
_OF_AN_ITEM = ("item", "source", "store", "bucket", "key")
_OF_A_TRANSFER = (*_OF_AN_ITEM, "kind", "attempt", "transfer_id")


# ── events ────────────────────────────────────────────────────────────────────────────────────────
def _kinds(base: type[Event] = Event) -> Iterator[type[Event]]:
    for one in base.__subclasses__():
        if "name" in vars(one):
            yield one
        yield from _kinds(one)


def _sample(kind: type[Event]) -> Event:
    return kind(**{one.name: _value(one.name, str(one.type)) for one in fields(kind)})


def _value(name: str, annotation: str) -> object:
    return _SAMPLES[name] if name in _SAMPLES and not annotation.endswith("'int'>") else _plain(annotation)


def _plain(annotation: str) -> object:
    return {"int": 1, "float": 10.0, "bool": True}.get(re.findall(r"int|float|bool|$", annotation)[0], "x")


def _logged(kind: type[Event]) -> list[str] | None:
    """The fields of the event's line, as the log writes it at level debug. None: it has no line."""
    out = io.StringIO()
    LogObserver(logs.configure("json", "debug", out), clock=iter([0.0, 10.0, 20.0]).__next__, progress_every=0.0)(
        _sample(kind)
    )
    lines = out.getvalue().splitlines()
    return [name for name in json.loads(lines[0]) if name not in _ALWAYS] if lines else None


def _shown(names: list[str]) -> str:
    for group, word in ((_OF_A_TRANSFER, "those of a transfer"), (_OF_AN_ITEM, "those of an item")):
        if set(group) <= set(names):
            return ", ".join([word, *(f"`{name}`" for name in names if name not in group)])
    return ", ".join(f"`{name}`" for name in names)


def events() -> list[str]:
    found: dict[str, tuple[str, list[str]]] = {}
    for kind in _kinds():
        names = _logged(kind)
        if names is not None:
            meaning = re.sub(r"\s+", " ", (kind.__doc__ or "").strip())
            found.setdefault(kind.name, (meaning, names))
    rows = (f"| `{name}` | {meaning} | {_shown(names)} |" for name, (meaning, names) in found.items())
    return ["| event | meaning | fields |", "|---|---|---|", *rows]


# ── reasons ───────────────────────────────────────────────────────────────────────────────────────
def reasons() -> list[str]:
    rows = []
    for reason in Reason:
        advice = ADVICE[reason]
        more = f" More: [{advice.page}]({advice.page})." if advice.page else ""
        rows.append(f"| `{reason}` | {advice.meaning} | {advice.action}{more} |")
    return ["| reason | meaning | what to do |", "|---|---|---|", *rows]


# ── variables ─────────────────────────────────────────────────────────────────────────────────────
def variables() -> list[str]:
    """The variables of the settings, with the field of `daemon:` and the default of each."""
    rows = []
    for one in fields(Settings):
        if one.name == "database":  # of a `state` that names one
            continue
        default = one.default if isinstance(one.default, str | int | float) else ""
        shown = f"{default // MiB}MiB" if isinstance(default, int) and default >= MiB else default
        field = f"network.{one.name[8:]}" if one.name.startswith("network_") else one.name
        rows.append(f"| `MIRRORD_{one.name.upper()}` | `daemon.{field}` | {f'`{shown}`' if shown != '' else ''} |")
    return ["| variable | field of the manifest | default |", "|---|---|---|", *rows]


# ── commands ──────────────────────────────────────────────────────────────────────────────────────
def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().replace("|", "\\|")


def _all_commands() -> Iterator[tuple[str, click.Command]]:
    """Each command with its name; those of a group instead of the group."""
    for name in commands.list_commands(click.Context(commands)):
        command = commands.get_command(click.Context(commands), name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from ((f"{name} {inner}", one) for inner, one in command.commands.items())
        else:
            yield name, command


def _command(name: str, command: click.Command) -> list[str]:
    context = click.Context(command, info_name=f"mirrord {name}")
    usage = " ".join(["mirrord", name, *command.collect_usage_pieces(context)])
    rows = [f"## mirrord {name}", "", "```text", usage, "```", ""]
    for paragraph in (command.help or "").split("\n\n"):
        lines = [line.strip() for line in paragraph.splitlines() if line.strip()]
        if lines and lines[0] == "\b":
            rows += ["```text", *lines[1:], "```", ""]
        elif lines:
            rows += [" ".join(lines).replace("<", "\\<"), ""]
    records = [one.get_help_record(context) for one in command.params if isinstance(one, click.Option)]
    options = [f"| `{_cell(record[0])}` | {_cell(record[1])} |" for record in records if record]
    return [*rows, "| option | meaning |", "|---|---|", *options, ""] if options else rows


def command_lines() -> list[str]:
    return [row for name, command in _all_commands() for row in _command(name, command)]


# ── exit codes ────────────────────────────────────────────────────────────────────────────────────
def exit_codes() -> list[str]:
    rows = [f"| {code} | {meaning} | {remedy} |" for code, (meaning, remedy) in exits.MEANINGS.items()]
    return ["| exit code | meaning | what to do |", "|---|---|---|", *rows]


def exit_codes_by_command() -> list[str]:
    rows = ["| command | exit codes |", "|---|---|"]
    for name, command in _all_commands():
        for paragraph in (command.help or "").split("\n\n"):
            found = re.search("Exit code: (.*)", " ".join(paragraph.split()))
            rows += [f"| `{name}` | {found[1]} |"] if found else []
    return rows
