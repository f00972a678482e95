"""Reports of changes of the `daemon:` block that need a restart."""

from functools import partial
from pathlib import Path

import pytest

from mirrord.daemon.restarts import Restarts
from mirrord.engine.daemon_block import daemon_settings
from mirrord.manifest.schema.document import DaemonSection
from mirrord.settings import Settings, resolve


def wanted(flags: dict[str, str], block: DaemonSection) -> Settings:
    return resolve(flags, {"HOME": "/home/x"}, daemon_settings(block))


@pytest.fixture
def restarts() -> Restarts:
    return Restarts(partial(wanted, {"transfers": "3"}))


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    messages = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return messages


def test_changed_settings_are_named_as_in_a_manifest(restarts: Restarts, caplog: pytest.LogCaptureFixture) -> None:
    restarts.compare(DaemonSection())
    assert messages(caplog) == []
    block = DaemonSection.model_validate(
        {"listen": "none", "log": {"level": "debug"}, "per_host": {"connections": 2}, "api_token": "hidden"}
    )
    restarts.compare(block)
    (line,) = messages(caplog)
    assert "after a restart: daemon.log.level, daemon.listen, daemon.api_token, daemon.per_host.connections" in line
    assert "hidden" not in line


def test_each_change_is_reported_once(restarts: Restarts, caplog: pytest.LogCaptureFixture) -> None:
    first, second = (
        DaemonSection.model_validate({"shutdown_grace": "3s"}),
        DaemonSection.model_validate({"shutdown_grace": "4s"}),
    )
    for block, lines in ((first, 0), (first, 0), (second, 1), (second, 0), (first, 0), (second, 1)):
        restarts.compare(block)
        assert len(messages(caplog)) == lines, block


def test_a_setting_that_a_flag_overrides_has_not_changed(restarts: Restarts, caplog: pytest.LogCaptureFixture) -> None:
    for transfers in (4, 5):
        restarts.compare(DaemonSection.model_validate({"transfers": transfers}))
    assert messages(caplog) == []


def test_every_setting_of_the_block_is_compared() -> None:
    block = DaemonSection.model_validate({"state": "sqlite:///srv/other.db"})
    assert wanted({}, block).state == Path("/srv/other.db")
    assert wanted({}, block) != wanted({}, DaemonSection())
