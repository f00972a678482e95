"""docs/commands.md has every command with exactly its options."""

import re
from pathlib import Path

import click
import pytest

from mirrord.cli import exits
from mirrord.cli.main import commands

PAGE = (Path(__file__).parents[3] / "docs" / "commands.md").read_text()
SECTIONS = dict(re.findall(r"^## mirrord (\w+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
NAMES = commands.list_commands(click.Context(commands))


def test_every_command_has_its_section() -> None:
    assert set(SECTIONS) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_listed_options_are_those_of_the_command(name: str) -> None:
    command = commands.get_command(click.Context(commands), name)
    assert command is not None
    has = {one.opts[0] for one in command.params if isinstance(one, click.Option)}
    listed = re.search(r"^Options: (.*?)(?:\n\n|\Z)", SECTIONS[name], re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"`(--[\w-]+)", listed[1] if listed else "")) == has


@pytest.mark.parametrize("name", NAMES)
def test_the_help_describes_the_command(name: str) -> None:
    command = commands.get_command(click.Context(commands), name)
    assert command is not None
    assert command.help


def test_each_exit_code_has_a_meaning_and_what_to_do() -> None:
    """docs/exit-codes.md is made from them (tests/integration/test_readme.py)."""
    assert set(exits.MEANINGS) == {0} | {code for code in vars(exits).values() if isinstance(code, int)}
    assert all(all(texts) for texts in exits.MEANINGS.values())
