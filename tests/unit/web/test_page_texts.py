"""The texts of the page know each word that the daemon uses."""

from importlib.resources import files
from pathlib import Path

import pytest

from mirrord.errors import Reason
from mirrord.manifest.manifest import load_all
from mirrord.model import Integrity, State

PAGE = files("mirrord.web") / "page"


@pytest.mark.parametrize("reason", Reason)
def test_each_reason_has_a_meaning_and_an_advice(reason: Reason) -> None:
    assert f'\n  {reason.value}: ["' in (PAGE / "advice.js").read_text()


@pytest.mark.parametrize("integrity", Integrity)
def test_each_proof_is_explained(integrity: Integrity) -> None:
    proofs = (PAGE / "advice.js").read_text().partition("const PROOFS")[2]
    assert f"\n  {integrity.value}: " in proofs.replace('"', "")


@pytest.mark.parametrize("state", State)
def test_each_state_can_be_chosen(state: State) -> None:
    assert f'"{state.value}"' in (PAGE / "words.js").read_text()
    assert f"--{state.value}: " in (PAGE / "page.css").read_text()


def test_the_example_for_an_empty_daemon_is_valid(tmp_path: Path) -> None:
    example = (PAGE / "index.html").read_text().partition('id="start-example"')[2].partition("</pre>")[0]
    manifest = tmp_path / "mirrord.yaml"
    manifest.write_text(example.partition(">")[2] + "\n")
    assert load_all([str(manifest)], {}, allow_unset=True).problems == ()
