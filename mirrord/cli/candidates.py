"""What a shell offers for a value: files, stores and entries of manifests, keys of the journal.

Owns the bounds: a shell waits, so that what takes too long is left out, and errors are silent. click has the protocol.
"""

import logging
import os
import shlex
from collections.abc import Callable, Iterable

import click
from click.shell_completion import CompletionItem

from mirrord.engine.read_only_journal import offered
from mirrord.manifest.discover import discover
from mirrord.programs.desired import Desired, read
from mirrord.programs.offline import locate_state
from mirrord.settings import default_config
from mirrord.units import KiB

MOST = 200
"""Values that are offered at most."""
WITHIN = 0.15
"""Seconds for a search of the journal."""
LARGEST = 256 * KiB
"""Bytes of all manifests, above which they are not read."""


def candidates(kind: str, ctx: click.Context, typed: str) -> list[CompletionItem]:
    """The values of this kind that begin with what was typed."""
    logging.disable()
    try:
        values = _KINDS[kind](ctx, typed)
        return [CompletionItem(one) for one in sorted(set(values)) if one.startswith(typed) and _is_plain(one)][:MOST]
    except Exception:  # noqa: BLE001 - nothing may disturb a user who types
        return []


def _is_plain(value: str) -> bool:
    """Whether every shell inserts the value unchanged: bash does not quote it, and fish splits at a comma."""
    return shlex.quote(value) == value and "," not in value


def _stores(ctx: click.Context, _: str) -> Iterable[str]:
    return _desired(ctx).loaded.stores


def _items(ctx: click.Context, typed: str) -> Iterable[str]:
    """Keys, or addresses of objects (not in bash, where a word ends at a colon)."""
    if not typed.startswith("s3://"):
        return [one.partition("/")[2] for one in _recorded(ctx, typed)[0]]
    key = typed.removeprefix("s3://").partition("/")[2]
    return [f"s3://{one}" for one in _recorded(ctx, key)[0]]


def _selected(ctx: click.Context, typed: str) -> Iterable[str]:
    """What --only and `trigger` take: keys, and names of entries."""
    wanted = _desired(ctx).expansion
    declared = {item.entry for item in wanted.items}
    declared |= {one.entry for one in wanted.lists} | {one.entry for one in wanted.folders}
    return [*declared, *_recorded(ctx, typed)[1], *_items(ctx, typed)]


def _recorded(ctx: click.Context, typed: str) -> tuple[list[str], list[str]]:
    path = _paths(ctx)[0]
    location = locate_state(path if os.path.exists(path) else None, ctx.params.get("state"), os.environ)
    return offered(location.settings, typed, MOST, WITHIN)


def _desired(ctx: click.Context) -> Desired:
    files = discover([path for path in _paths(ctx) if os.path.exists(path)])
    small = sum(map(os.path.getsize, files)) <= LARGEST and all(map(os.path.isfile, files))
    return read(files if small else [], os.environ, again=True)


def _paths(ctx: click.Context) -> list[str]:
    """The manifests of the command line so far. click leaves them in `args` if the last word is an option's value."""
    given = [*(ctx.params.get("paths") or ()), *filter(os.path.exists, ctx.args)]
    return given or [ctx.params.get("config") or default_config(os.environ)]


_KINDS: dict[str, Callable[[click.Context, str], Iterable[str]]] = {
    "stores": _stores,
    "items": _items,
    "selected": _selected,
}
