"""Each reason has advice, and docs/variables.md has each variable that the package reads. test_readme.py compares the
tables that are made from the code."""

import re
from pathlib import Path

import pytest

from mirrord.advice import ADVICE
from mirrord.errors import Reason

ROOT = Path(__file__).parents[2]
READ = re.compile(r"""environ(?:\.get\(|\[)["']([A-Z_0-9]+)["']""")
NOT_OURS = {"PATH", "HOME", "USER", "SHELL", "PYTHONUTF8", "MIRRORD_DEMO_ORIGIN"}  # of the system; inside of the demo


@pytest.mark.parametrize("reason", Reason)
def test_each_reason_has_advice(reason: Reason) -> None:
    advice = ADVICE[reason]
    assert advice.meaning.endswith(".")
    assert advice.action.endswith(".")
    assert not advice.page or (ROOT / "docs" / advice.page).is_file()


def test_the_page_has_each_variable_that_the_package_reads() -> None:
    page = (ROOT / "docs" / "variables.md").read_text()
    read = {name for path in (ROOT / "mirrord").rglob("*.py") for name in READ.findall(path.read_text())}
    assert read >= {"MIRRORD_CONFIG", "AWS_CA_BUNDLE"}
    assert {name for name in read - NOT_OURS if f"`{name}`" not in page} == set()
