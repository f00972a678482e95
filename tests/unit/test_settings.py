"""Flags win over variables, variables over the manifest, all over the defaults."""

from pathlib import Path

import pytest

from mirrord.model import Secret
from mirrord.settings import default_config, default_state, resolve, state_of, state_path
from mirrord.units import MiB


@pytest.mark.parametrize(
    ("flags", "environ", "daemon", "transfers"),
    [
        ({}, {}, {}, 16),
        ({}, {}, {"transfers": 3}, 3),
        ({}, {"MIRRORD_TRANSFERS": "4"}, {"transfers": 3}, 4),
        ({"transfers": "5"}, {"MIRRORD_TRANSFERS": "4"}, {"transfers": 3}, 5),
        ({"transfers": None}, {"MIRRORD_TRANSFERS": ""}, {"transfers": 3}, 3),
    ],
)
def test_the_nearest_word_wins(flags, environ, daemon, transfers) -> None:
    assert resolve(flags, environ, daemon).transfers == transfers


def test_every_setting_is_read_from_the_environment() -> None:
    environ = {
        "MIRRORD_STATE": "sqlite:///s/state.db",
        "MIRRORD_MEMORY_LIMIT": "64MiB",
        "MIRRORD_LOG_FORMAT": "json",
        "MIRRORD_LOG_LEVEL": "debug",
    }
    settings = resolve({}, environ, {})
    assert settings.state == Path("/s/state.db")
    assert settings.directory == Path("/s")
    assert (settings.memory_limit, settings.log_format, settings.log_level) == (64 * MiB, "json", "debug")


@pytest.mark.parametrize(
    ("flags", "environ", "said"),
    [
        ({"transfers": "0"}, {}, "--transfers: '0' is not a number from 1 to 10000"),
        ({}, {"MIRRORD_MEMORY_LIMIT": "64mb"}, "MIRRORD_MEMORY_LIMIT: '64mb' is not a size"),
        ({"memory_limit": "1MiB"}, {}, "--memory-limit: '1MiB' is too little"),
        ({"log_format": "xml"}, {}, "--log-format: 'xml' is not one of auto, console, json"),
        (
            {"state": "mysql://h/d"},
            {},
            "--state: write sqlite:///path/state.db or postgresql://host/database, not mysql:",
        ),
    ],
)
def test_what_cannot_be_read_names_where_it_came_from(flags, environ, said) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        resolve(flags, environ, {})
    assert said in str(refused.value)


def test_the_state_is_systemds_directory_then_the_users() -> None:
    assert default_state({"STATE_DIRECTORY": "/var/lib/mirrord", "HOME": "/h"}) == Path("/var/lib/mirrord/state.db")
    assert default_state({"STATE_DIRECTORY": "/a:/b"}) == Path("/a/state.db")
    assert default_state({"XDG_STATE_HOME": "/x", "HOME": "/h"}) == Path("/x/mirrord/state.db")
    assert default_state({"HOME": "/h"}) == Path("/h/.local/state/mirrord/state.db")


def test_a_state_may_be_named_by_url_file_or_directory() -> None:
    assert state_path("sqlite:///v/a.db") == state_path("/v/a.db") == Path("/v/a.db")
    assert state_path("/v/lib") == Path("/v/lib/state.db")


def test_the_config_is_the_environments_or_etc() -> None:
    assert default_config({}) == "/etc/mirrord"
    assert default_config({"MIRRORD_CONFIG": "/c"}) == "/c"


def test_a_user_without_a_home_needs_a_state_of_his_own_and_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def expanduser(_: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", expanduser)
    for flags, environ, daemon in (
        ({"state": "/s"}, {}, {}),
        ({}, {"MIRRORD_STATE": "/s"}, {}),
        ({}, {}, {"state": Path("/s/state.db")}),
        ({}, {"STATE_DIRECTORY": "/s"}, {}),
    ):
        assert resolve(flags, environ, daemon).state == Path("/s/state.db")
    assert resolve({}, {"XDG_STATE_HOME": "/x"}, {}).state == Path("/x/mirrord/state.db")
    with pytest.raises(ValueError, match=r"user \d+ has no home directory .* set daemon.state, --state"):
        resolve({}, {}, {})


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_a_journal_in_postgresql_keeps_the_rest_of_the_state_in_the_default_directory(scheme: str) -> None:
    uri = f"{scheme}://me:hunter2@db:5432/mirrord?sslmode=require"
    for settings in (
        resolve({"state": uri}, {"XDG_STATE_HOME": "/x"}, {}),
        resolve({}, {"MIRRORD_STATE": uri, "XDG_STATE_HOME": "/x"}, {"state": state_of("/other")}),
        resolve({}, {"XDG_STATE_HOME": "/x"}, {"state": state_of(uri)}),
    ):
        assert settings.database == Secret(uri)
        assert settings.directory == Path("/x/mirrord")
        assert settings.journal == f"{scheme}://db:5432/mirrord?…"
        assert "hunter2" not in f"{settings!r} {settings}"
    assert resolve({"state": "/s"}, {"XDG_STATE_HOME": "/x"}, {"state": state_of(uri)}).database is None
