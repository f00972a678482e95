"""PATH arguments become files."""

from pathlib import Path

import pytest

from mirrord.errors import PathMissing
from mirrord.manifest.discover import discover


def test_a_directory_gives_its_yaml_files_sorted_and_nothing_else(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", ".hidden.yaml", "notes.txt", "c.yaml~"):
        (tmp_path / name).touch()
    (tmp_path / "deeper.yaml").mkdir()
    (tmp_path / "deeper.yaml" / "d.yaml").touch()
    assert discover([str(tmp_path)]) == (f"{tmp_path}/a.yml", f"{tmp_path}/b.yaml")


def test_a_file_is_taken_whatever_its_name_and_only_once(tmp_path: Path) -> None:
    file = tmp_path / ".conf"
    file.touch()
    (tmp_path / "z.yaml").symlink_to(file)
    assert discover([str(file), str(tmp_path), str(file)]) == (str(file),)


def test_an_empty_directory_is_allowed(tmp_path: Path) -> None:
    assert discover([str(tmp_path)]) == ()


def test_a_missing_path_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PathMissing, match="nowhere: no such file or directory"):
        discover([str(tmp_path), str(tmp_path / "nowhere")])


def test_the_links_of_a_configmap_are_followed(tmp_path: Path) -> None:
    (tmp_path / "..2024").mkdir()
    (tmp_path / "..2024" / "m.yaml").touch()
    (tmp_path / "..data").symlink_to("..2024")
    (tmp_path / "m.yaml").symlink_to("..data/m.yaml")
    assert discover([str(tmp_path)]) == (f"{tmp_path}/m.yaml",)
