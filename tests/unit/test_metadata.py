"""What an index and an installer read of mirrord: bounds, URLs, classifiers."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]


def test_aiohttp_with_known_vulnerabilities_is_not_accepted() -> None:
    (aiohttp,) = (one for one in map(Requirement, PROJECT["dependencies"]) if one.name == "aiohttp")
    assert not aiohttp.specifier.contains("3.14.0")
    assert not aiohttp.specifier.contains("3.14.4")
    assert aiohttp.specifier.contains("3.14.5")


@pytest.mark.parametrize("label", ["Homepage", "Documentation", "Repository", "Issues", "Changelog"])
def test_project_urls(label: str) -> None:
    assert re.fullmatch(r"https://[\w./-]+", PROJECT["urls"][label])


def test_classifiers_agree_with_the_other_fields() -> None:
    classifiers = PROJECT["classifiers"]
    assert len(set(classifiers)) == len(classifiers)
    assert not any(one.startswith("License ::") for one in classifiers), "the licence is an SPDX expression (PEP 639)"
    versions = [one.rpartition(" ")[2] for one in classifiers if re.search(r":: 3\.\d+$", one)]
    assert PROJECT["requires-python"] == f">={versions[0]}"
    assert versions == sorted(versions, key=lambda one: int(one.partition(".")[2]))
    assert {"Environment :: No Input/Output (Daemon)", "Topic :: System :: Archiving :: Mirroring"} <= set(classifiers)
