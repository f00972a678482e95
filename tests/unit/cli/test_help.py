"""The help of every command has examples that parse; mistyped commands and options are answered by a suggestion."""

import re
import shlex

import click
import pytest

from mirrord.cli.main import commands, invoke

NAMES = commands.list_commands(click.Context(commands))
_EXAMPLE = re.compile(r"^ +(?:[^\n]*(?:\$\(|\| ))?(mirrord \w[^\n|>)]*)", re.MULTILINE)


def help_of(name: str) -> str:
    command = commands.get_command(click.Context(commands), name)
    assert command is not None
    return command.get_help(click.Context(command, info_name=f"mirrord {name}", terminal_width=100))


def examples(name: str) -> list[list[str]]:
    found = _EXAMPLE.findall(help_of(name))
    return [shlex.split(re.split(r" && |  +in ", line)[0]) for line in found]


@pytest.mark.parametrize("name", NAMES)
def test_each_example_of_a_command_parses(name: str) -> None:
    assert any(one[1] == name for one in examples(name)), help_of(name)
    for _, used, *arguments in examples(name):
        command = commands.get_command(click.Context(commands), used)
        assert command is not None, used
        command.make_context(used, arguments, parent=click.Context(commands))


@pytest.mark.parametrize("name", NAMES)
def test_the_help_has_no_line_that_is_too_long(name: str) -> None:
    assert max(map(len, help_of(name).splitlines())) <= 100


def test_the_short_helps_are_alike(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["--help"]) == 0
    listed = re.findall(r"^  ([a-z]+)  +(\S.*)$", capsys.readouterr().out, re.MULTILINE)
    assert [name for name, _ in listed] == NAMES
    assert [text for _, text in listed if not text[0].islower() or text.endswith(".")] == []


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("histroy", "Did you mean 'history'?"),
        ("STATUS", "Did you mean 'status' or 'state'?"),
        ("stat", "Did you mean 'state' or 'status'?"),
        ("validade", "Did you mean 'validate'?"),
        ("qqq", "No such command 'qqq'.\n"),
    ],
)
def test_a_mistyped_command_is_answered_by_the_one_that_was_meant(
    typed: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke([typed]) == 2
    assert meant in capsys.readouterr().err


def test_so_is_a_mistyped_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["plan", "--jsn"]) == 2
    assert "Did you mean '--json'?" in capsys.readouterr().err
