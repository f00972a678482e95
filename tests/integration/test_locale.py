"""File names are read as UTF-8 in any locale, and no output fails because of an encoding."""

import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import environment, mirrord
from tests.support.daemon import running, store_section
from tests.support.inbox import objects
from tests.support.weed import Server

PLAIN = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


@pytest.fixture(scope="module")
def locales(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the locale en_US.ISO-8859-1, compiled for the test; empty if localedef cannot compile it."""
    place = tmp_path_factory.mktemp("locales")
    made = ["localedef", "-i", "en_US", "-f", "ISO-8859-1", str(place / "en_US.ISO-8859-1")]
    with suppress(OSError):  # the locale C is tested anyway
        subprocess.run(made, check=False, capture_output=True)
    return place


def latin(locales: Path) -> dict[str, str]:
    return {"LC_ALL": "en_US.ISO-8859-1", "LOCPATH": str(locales), "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


@pytest.fixture(params=["C", "ISO-8859-1", "C, ASCII output", "Latin-1 output"])
def env(request: pytest.FixtureRequest, locales: Path) -> Mapping[str, str]:
    return {
        "C": PLAIN,
        "ISO-8859-1": latin(locales),
        "C, ASCII output": PLAIN | {"PYTHONIOENCODING": "ascii:strict"},
        "Latin-1 output": latin(locales) | {"PYTHONIOENCODING": "iso-8859-1:strict"},
    }[request.param]


NAMES = ("café.txt", "日本/naïve.txt", "e\u0301.txt", "plain.txt")


def home_with(home: Path, weed: Server, bucket: str) -> Path:
    """A folder, a manifest and keys with names outside ASCII."""
    inbox = home / "bo\u00eete"
    for name in NAMES:
        (inbox / name).parent.mkdir(parents=True, exist_ok=True)
        (inbox / name).write_text(name, "utf-8")
    manifest = home / "m\u00e9.yaml"
    entry = (
        f"folders:\n  - {{path: bo\u00eete, to: 's3://{bucket}/\u00fc/', delete: mirror, settle: 0s, rescan: 500ms}}\n"
    )
    manifest.write_text(store_section(weed) + entry, "utf-8")
    return manifest


@pytest.mark.parametrize("env", ["C", "Latin-1 output"], indirect=True)
async def test_a_folder_copied_under_utf_8_is_the_same_under_another_locale(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any, env: Mapping[str, str]
) -> None:
    manifest = home_with(tmp_path, weed, bucket)
    assert (await mirrord("sync", str(manifest), home=tmp_path)).code == 0
    keys = {f"\u00fc/{name}" for name in NAMES}
    assert objects(s3_client, bucket).keys() == keys
    for command in ("validate", "plan", "sync", "verify"):
        done = await mirrord(command, str(manifest), home=tmp_path, env=env)
        assert done.code == 0, done.output
        assert "Error" not in done.output, done.output
    assert objects(s3_client, bucket).keys() == keys
    (tmp_path / "bo\u00eete" / "neuf-\u00e9.txt").write_text("new")
    done = await mirrord("sync", str(manifest), home=tmp_path, env=env)
    assert "1 copied" in done.out, done.output
    assert objects(s3_client, bucket).keys() == keys | {"\u00fc/neuf-\u00e9.txt"}


async def test_the_daemon_sees_such_names_come_and_go(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any, locales: Path
) -> None:
    manifest = home_with(tmp_path, weed, bucket)
    keys = {f"\u00fc/{name}" for name in NAMES}
    async with running(tmp_path, str(manifest), env=latin(locales)) as daemon:
        await daemon.synced(*keys)
        (tmp_path / "bo\u00eete" / "neuf-\u00e9.txt").write_text("new")
        await daemon.synced(*keys, "\u00fc/neuf-\u00e9.txt")
        (tmp_path / "bo\u00eete" / "neuf-\u00e9.txt").unlink()
        await daemon.log("item.pruned", key="\u00fc/neuf-\u00e9.txt")
        assert await daemon.stop() == 0
    assert objects(s3_client, bucket).keys() == keys


@pytest.mark.parametrize("env", ["ISO-8859-1", "C, ASCII output"], indirect=True)
async def test_errors_quote_such_names_and_copy_takes_them(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any, env: Mapping[str, str]
) -> None:
    manifest = home_with(tmp_path, weed, bucket)
    wrong = tmp_path / "\u20ac.yaml"
    wrong.write_text("mirrors:\n  - url: \u20ac\u00e9\n    nam\u00e9: x\n", "utf-8")
    done = await mirrord("validate", str(wrong), home=tmp_path, env=env)
    assert done.code == 78, done.output
    assert "Traceback" not in done.output
    done = await mirrord("validate", str(tmp_path / "\u20ac-missing"), home=tmp_path, env=env)
    assert done.code == 2, done.output
    source = str(tmp_path / "bo\u00eete" / "caf\u00e9.txt")
    to = ("copy", source, f"s3://{bucket}/copi\u00e9/", "--config", str(manifest))
    done = await mirrord(*to, home=tmp_path, env=env)
    assert done.code == 0, done.output
    assert objects(s3_client, bucket).keys() == {"copi\u00e9/caf\u00e9.txt"}
    done = await mirrord("status", "--config", str(manifest), home=tmp_path, env=env)
    assert done.code == 0, done.output


async def test_names_that_are_no_utf_8_are_shown_under_any_locale(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any, env: Mapping[str, str]
) -> None:
    manifest = home_with(tmp_path, weed, bucket)
    os.close(os.open(os.fsencode(tmp_path / "bo\u00eete") + b"/\xff.txt", os.O_CREAT | os.O_WRONLY))
    done = await mirrord("sync", str(manifest), home=tmp_path, env=env)
    assert "Traceback" not in done.output, done.output
    assert "\\xff.txt" in done.output, done.output
    assert objects(s3_client, bucket).keys() == {f"\u00fc/{name}" for name in NAMES}


PROGRAM = """
import asyncio, sys, mirrord
try:
    print(asyncio.run(getattr(mirrord, sys.argv[1])([sys.argv[2]])))
except mirrord.MirrordError as error:
    print("refused:", error)
"""


@pytest.mark.parametrize("name", ["sync", "plan"])
def test_a_program_that_reads_file_names_in_another_encoding_gets_an_error(tmp_path: Path, name: str) -> None:
    """A library cannot restart its program in UTF-8 mode; with wrong names it would write and delete other keys."""
    (tmp_path / "inbox").mkdir()
    (tmp_path / "m.yaml").write_text("folders:\n  - {path: inbox, to: 's3://bucket/'}\n")
    command = [sys.executable, "-c", PROGRAM, name, str(tmp_path / "m.yaml")]
    done = subprocess.run(
        command, env=environment(tmp_path, PLAIN), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.startswith("refused: names of files are UTF-8"), done
