"""`mirrord completion`: in a real bash, and by the protocol of the scripts for zsh and fish."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mirrord.journal.sqlite import SqliteJournal
from mirrord.journal.sqlite.quick_search import entries_beginning, keys_beginning
from mirrord.model import Destination, State
from tests.support.command import environment, mirrord
from tests.support.records import make_record

MANIFEST = {
    "stores": {"default": {"provider": "aws", "region": "eu-west-3"}, "cold": {"provider": "aws"}},
    "mirrors": [{"name": "declared", "url": "https://example.org/a", "to": "s3://bucket/geo/a"}],
}
KEYS = ["geo/city.mmdb", "geo/country.mmdb", "geo/odd name", "geo/a,b", "geo/ü", "other"]


@pytest.fixture
async def home(tmp_path: Path) -> Path:
    """Has a manifest, a journal with KEYS and one retired key, and the command `mirrord` in bin."""
    (tmp_path / "m.yaml").write_text(json.dumps(MANIFEST))
    binary = tmp_path / "bin" / "mirrord"
    binary.parent.mkdir()
    binary.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mirrord "$@"\n')
    binary.chmod(0o755)
    path = tmp_path / "state" / "mirrord" / "state.db"
    async with SqliteJournal(path) as journal:
        for number, key in enumerate([*KEYS, "geo/retired"]):
            at = Destination("default", "https://s3", "bucket", key)
            await journal.save(
                make_record(
                    state=State.SYNCED,
                    source="https://example.org/a",
                    item_id=f"{number:016x}",
                    destination=at,
                    entry=f"entry-{number % 2}",
                )
            )
        await journal.retire([f"{len(KEYS):016x}"], 1.0)
    return tmp_path


def surroundings(home: Path, **more: str) -> dict[str, str]:
    env = environment(home, more)
    return env | {"PATH": f"{home / 'bin'}:{env['PATH']}"}


def in_bash(home: Path, *words: str) -> list[str]:
    """What a bash that has evaluated the script offers for the last word."""
    typed = " ".join(f"'{word}'" for word in words)
    script = (
        f'eval "$(mirrord completion bash)"; COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; '
        'compopt() { echo "compopt $*"; }; _mirrord_completion mirrord; printf \'%s\\n\' "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", script], env=surroundings(home), cwd=home, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["sy"], ["sync"]),
        (["sync", "--exit"], [""]),
        (["plan", "--exit"], ["--exit-code"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["sync", "--log-level", "d"], ["debug"]),
        (["sync", "m"], ["compopt -o", "default", ""]),
        (["copy", "a", "s3://b/a", "--config", "m.yaml", "--store", ""], ["cold", "default"]),
        (["sync", "m.yaml", "--only", "decl"], ["declared"]),
        (["trigger", "--config", "m.yaml", "e"], ["entry-0", "entry-1"]),
        (["link", "geo/"], ["geo/city.mmdb", "geo/country.mmdb"]),
        (["history", "--config", "nowhere", "nothing"], [""]),
    ],
)
def test_bash_offers_commands_options_files_entries_stores_and_keys(
    home: Path, words: list[str], offered: list[str]
) -> None:
    assert in_bash(home, "mirrord", *words) == offered


@pytest.mark.parametrize(
    ("shell", "typed", "lines"),
    [
        ("zsh", "s3://bucket/geo/ci", ["plain", "s3://bucket/geo/city.mmdb", "_"]),
        ("fish", "geo/co", ["plain,geo/country.mmdb"]),
    ],
)
async def test_the_scripts_for_zsh_and_fish_ask_so(home: Path, shell: str, typed: str, lines: list[str]) -> None:
    script = await mirrord("completion", shell, home=home)
    assert f"_MIRRORD_COMPLETE={shell}_complete" in script.out
    words = {"COMP_WORDS": f"mirrord history {typed}", "COMP_CWORD": typed if shell == "fish" else "2"}
    done = await mirrord(home=home, env={"_MIRRORD_COMPLETE": f"{shell}_complete", **words})
    assert (done.code, done.err) == (0, ""), done.output
    assert done.out.split() == lines


@pytest.mark.parametrize("damage", ["broken", "a directory", "of another program", "locked away"])
def test_errors_are_silent(home: Path, damage: str) -> None:
    journal = home / "state" / "mirrord" / "state.db"
    (home / "m.yaml").write_text("mirrors: [{")
    journal.unlink()
    if damage == "a directory":
        journal.mkdir()
    elif damage != "locked away":
        journal.write_bytes(b"no database" * 1000)
    assert in_bash(home, "mirrord", "link", "--config", "m.yaml", "geo/") == [""]


async def test_a_search_is_bounded_and_leaves_the_state_as_it_is(home: Path) -> None:
    path = home / "state" / "mirrord" / "state.db"
    before = sorted(os.listdir(path.parent))
    assert len(keys_beginning(path, "geo/", 2, 60)) == 2
    assert set(keys_beginning(path, "geo/", 100, 60)) == {f"bucket/{key}" for key in KEYS[:5]}
    assert entries_beginning(path, "", 100, 60) == ["entry-0", "entry-1"]
    assert entries_beginning(path, "", 1, 60) == ["entry-0"]
    assert entries_beginning(path, "x", 100, 60) == []
    assert sorted(os.listdir(path.parent)) == before
    async with SqliteJournal(path):  # as a daemon has it open
        assert keys_beginning(path, "oth", 100, 60) == ["bucket/other"]
