"""The files of a store's keys and certificate authorities."""

from pathlib import Path

import pytest

from mirrord.declared import StoreOptions
from mirrord.s3.credentials import security_files


@pytest.mark.parametrize("broken", ["no such profile", "no configuration"])
def test_files_are_known_where_the_aws_configuration_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """Otherwise the error at the opening of the store is an internal one, not that of the profile."""
    config, keys = tmp_path / "config", tmp_path / "credentials"
    config.write_text("[" if broken == "no configuration" else "")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(keys))
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    if broken == "no such profile":
        monkeypatch.setenv("AWS_PROFILE", "nope")
    assert set(security_files(StoreOptions(name="s"))) == {config, keys}


def test_a_user_without_a_home_directory_has_no_such_files_and_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CA_BUNDLE", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 54321)
    assert not any(file.exists() for file in security_files(StoreOptions(name="s")))
