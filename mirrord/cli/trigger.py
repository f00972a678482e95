"""Finds the items of a running daemon that GLOB_OR_ITEM arguments select, and triggers a check of each.

Owns the meaning of the arguments: an id, `s3://bucket/key`, a key or an entry's name, the last
three also as globs. The daemon filters the list by a literal text; the exact match is made here.
"""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from mirrord.aio import batches
from mirrord.cli.api_client import ApiClient
from mirrord.model import State
from mirrord.status import ItemStatus
from mirrord.web.routes import MOST_TRIGGERED

_ID = re.compile(r"[0-9a-f]{16}")
_SIGNS = re.compile(r"[*?\ud800-\udfff]")  # the API cannot search for bytes that are not valid text
_PAGE = 1_000  # the API's limit for a page
_LONGEST = 1_024  # the API's limit for a search text, in characters
_SHOWN = 20


@dataclass(slots=True)
class TriggerResult:
    """The triggered items by id, the lists and folders by name, and the patterns that matched none.

    `refused`: items, by id, that the daemon shows and does not check."""

    items: dict[str, ItemStatus] = field(default_factory=dict)
    refused: dict[str, ItemStatus] = field(default_factory=dict)
    entries: list[str] = field(default_factory=list)
    unmatched: list[str] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        """A line for each item, or for the first ones and a line with the number of the others."""
        read = [f"triggered the list or folder {name}" for name in self.entries]
        return [*read, *_first([f"triggered {one.destination} ({one.id})" for one in self.items.values()])]

    @property
    def problems(self) -> list[str]:
        """A line for each pattern that matched nothing, and for the first items that were refused."""
        unmatched = [f"{pattern}: no item has this id, object, key or entry" for pattern in self.unmatched]
        why = "not checked: its list was not read yet, or it just left the manifests; see `mirrord status`"
        return [*unmatched, *_first([f"{one.destination} ({one.id}): {why}" for one in self.refused.values()])]


def _first(lines: list[str]) -> list[str]:
    """The first lines in order, and a line with the number of the others."""
    lines.sort()
    return lines if len(lines) <= _SHOWN else [*lines[:_SHOWN], f"and {len(lines) - _SHOWN:,} more"]


async def trigger_all(api: ApiClient, patterns: Sequence[str]) -> TriggerResult:
    """Trigger every item that matches one of the patterns, each once; lists and folders of such names are read now.
    Raises NoDaemon and DaemonRefused."""
    done = TriggerResult()

    async def ask(items: Sequence[ItemStatus]) -> None:
        known = set(await api.trigger([item.id for item in items]))
        for item in items:
            if item.id in known:
                done.items[item.id] = item
            elif item.entry not in done.entries and item.state is not State.WAITING:  # a file that settles is found
                done.refused[item.id] = item

    async with api:
        for name in await _lists_and_folders(api):
            if any(_is_named(name, pattern) for pattern in patterns) and await api.trigger_entry(name):
                done.entries.append(name)
        async with aclosing(batches(_meant(api, patterns, done), MOST_TRIGGERED)) as found:
            async for some in found:
                await ask(some)
    return done


async def _lists_and_folders(api: ApiClient) -> list[str]:
    status = await api.status()
    return [*(one.name for one in status.lists), *(one.name for one in status.folders)]


def _is_named(name: str, pattern: str) -> bool:
    return name == pattern or fnmatchcase(name, pattern)


async def _meant(api: ApiClient, patterns: Sequence[str], done: TriggerResult) -> AsyncGenerator[ItemStatus]:
    seen: set[str] = set()
    for pattern in patterns:
        matched = False
        async for item in _items(api, pattern):
            matched = True
            if item.id not in seen:
                seen.add(item.id)
                yield item
        if not matched and not any(_is_named(name, pattern) for name in done.entries):
            done.unmatched.append(pattern)


async def _items(api: ApiClient, pattern: str) -> AsyncIterator[ItemStatus]:
    if _ID.fullmatch(pattern) and (one := await api.item(pattern)) is not None:
        yield one
        return
    cursor: str | None = ""
    while cursor is not None:
        page = await api.items(text=literal(pattern), cursor=cursor, limit=_PAGE)
        for item in page.items:
            if means(pattern, item):
                yield item
        cursor = page.cursor


def means(pattern: str, item: ItemStatus) -> bool:
    """Whether the pattern, as text or as a glob, is the item's object, its key or its entry's name."""
    key = item.destination.removeprefix("s3://").partition("/")[2]
    names = [key, item.entry, *([item.destination] if pattern.startswith("s3://") else [])]
    return pattern in names or any(fnmatchcase(name, pattern) for name in names)


def literal(pattern: str) -> str:
    """The longest text that every key or entry's name must contain to match the pattern; the daemon searches for it.

    The bucket of an `s3://bucket/key` is in neither, so only the key counts. Text after a `[` is not used: it may be a
    set of characters.
    """
    if pattern.startswith("s3://"):
        pattern = pattern.removeprefix("s3://").partition("/")[2]
    pieces = _SIGNS.split(pattern.partition("[")[0])
    return max(pieces, key=len)[:_LONGEST]
