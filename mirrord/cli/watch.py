"""`mirrord status --watch`: the status again and again, at a terminal on the whole screen.

Owns the alternate screen, the keys, and what happens if the daemon stops answering meanwhile: the last status stays,
with the reason. `show.screen` chooses the lines.
"""

import asyncio
import json
import os
import sys
import termios
import time
import tty
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

import click

from mirrord.cli.show.overview import Overview
from mirrord.cli.show.screen import screen
from mirrord.cli.show.status import in_json as status_in_json
from mirrord.cli.show.status import lines
from mirrord.errors import DaemonRefused, JournalError, NoDaemon, printable

EVERY = 1.0
"""Seconds between two updates."""
_RESIZED = 0.1
"""Seconds between two looks at the size of the terminal."""
Ask = Callable[[], Awaitable[Overview]]
"""The status now."""


async def watch(ask: Ask, *, in_json: bool) -> None:
    """Show the status until the user ends it. Raises the errors of the first `ask`."""
    first = await ask()
    if not in_json and sys.stdout.isatty() and os.environ.get("TERM") not in (None, "", "dumb", "unknown"):
        await _on_the_screen(first, ask)
        return
    shown = first
    while True:
        click.echo(
            json.dumps(status_in_json(shown))
            if in_json
            else "\n".join([*map(printable, lines(shown, time.time())), ""])
        )
        await asyncio.sleep(EVERY)
        shown = await ask()


async def _on_the_screen(shown: Overview, ask: Ask) -> None:
    from rich.console import Console, Group
    from rich.live import Live
    from rich.text import Text

    console, note = Console(file=sys.stdout, force_terminal=True), ""

    def drawn() -> Group:
        rows = screen(shown, time.time(), console.size.height, note)
        return Group(*(Text(printable(one.text), one.style, no_wrap=True, overflow="ellipsis") for one in rows))

    with _quit_key() as ended, Live(console=console, screen=True, auto_refresh=False) as live:
        while not ended.is_set():
            live.update(drawn(), refresh=True)
            asked = asyncio.get_running_loop().time()
            while not ended.is_set() and asyncio.get_running_loop().time() < asked + EVERY:
                size = console.size
                with suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), _RESIZED)
                if console.size != size:
                    live.update(drawn(), refresh=True)
            try:
                shown, note = await ask(), ""
            except (NoDaemon, DaemonRefused, JournalError) as error:
                note = f"not up to date: {error}"


@contextmanager
def _quit_key() -> Iterator[asyncio.Event]:
    """An event that is set when the user types q. Keys are read one by one meanwhile, and not shown."""
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    if not sys.stdin.isatty():
        yield ended
        return
    keyboard = sys.stdin.fileno()

    def typed() -> None:
        if b"q" in os.read(keyboard, 1024).lower():
            ended.set()

    before = termios.tcgetattr(keyboard)
    tty.setcbreak(keyboard)
    loop.add_reader(keyboard, typed)
    try:
        yield ended
    finally:
        loop.remove_reader(keyboard)
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
