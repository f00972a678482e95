"""Which recorded manifest is loaded now: links, other paths, and what has no identity."""

import os
from pathlib import Path

import pytest

from mirrord.manifest.identity import LoadedFiles, invalid_texts, manifest_identity


def test_a_path_is_absolute_and_not_resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m.yaml").write_text("")
    (tmp_path / "link.yaml").symlink_to("m.yaml")
    monkeypatch.chdir(tmp_path)
    assert manifest_identity("./link.yaml") == str(tmp_path / "link.yaml")
    assert manifest_identity("-") is None
    os.mkfifo(tmp_path / "pipe")
    assert manifest_identity("pipe") is None


def test_a_file_is_known_by_its_path_and_by_where_it_leads_now(tmp_path: Path) -> None:
    """As in a ConfigMap: m.yaml -> ..data/m.yaml, and ..data is replaced."""
    for version in ("v1", "v2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "m.yaml").write_text("")
    (tmp_path / "..data").symlink_to("v1")
    (tmp_path / "m.yaml").symlink_to("..data/m.yaml")
    (tmp_path / "alias").symlink_to(".")
    recorded = manifest_identity(str(tmp_path / "m.yaml"))
    (tmp_path / "..data").unlink()
    (tmp_path / "..data").symlink_to("v2")
    assert recorded in LoadedFiles([str(tmp_path / "m.yaml")])
    assert recorded in LoadedFiles([str(tmp_path / "alias" / "m.yaml")])
    assert recorded not in LoadedFiles([str(tmp_path / "v1" / "m.yaml")])
    assert recorded not in LoadedFiles([])


def test_a_file_that_cannot_be_read_hides_everything(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("mirrors: [")
    assert invalid_texts([str(tmp_path / "bad.yaml")]) == ("mirrors: [",)
    assert invalid_texts([str(tmp_path / "bad.yaml"), str(tmp_path / "missing.yaml")]) is None


@pytest.mark.parametrize("path", ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0", "/dev/fd/99"])
def test_a_file_that_a_shell_connected_has_no_identity(path: str) -> None:
    """`mirrord sync /dev/stdin < m.yaml`: the next one may be another file."""
    assert manifest_identity(path) is None
    assert path not in LoadedFiles([path])


@pytest.mark.parametrize("link", [False, True])
def test_a_file_that_is_missing_now_keeps_its_identity_and_nothing_leaves_by_it(tmp_path: Path, link: bool) -> None:
    missing = str(tmp_path / "m.yaml")
    if link:
        (tmp_path / "m.yaml").symlink_to("..data/m.yaml")
    assert manifest_identity(missing) == missing
    assert missing not in LoadedFiles([missing])
