"""The `daemon:` block alone, for commands that search for a running daemon: no other section is resolved."""

from pathlib import Path

import pytest

from mirrord.errors import ManifestError
from mirrord.manifest.load import daemon_of
from mirrord.manifest.schema.document import DaemonSection


def block(text: str, **environ: str) -> DaemonSection | None:
    return daemon_of("m.yaml", text.encode(), environ)


def test_only_its_own_references_are_resolved(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("never read")
    secret.chmod(0)
    text = f"""
stores:
  default: {{provider: minio, credentials: {{access_key_id: "${{NOT_SET}}", secret_access_key: "${{file:{secret}}}"}}}}
daemon:
  state: "sqlite:///${{PLACE}}/state.db"
  transfers: ${{COUNT:-3}}
mirrors: {{"https://example.org/${{NOT_SET}}": "s3://${{NOT_SET}}/x"}}
"""
    found = block(text, PLACE="srv")
    assert found is not None
    assert (found.state, found.transfers) == ("sqlite:///srv/state.db", 3)


def test_a_file_without_the_block_has_none() -> None:
    assert block("mirrors: []") is None


@pytest.mark.parametrize(
    "elsewhere",
    ["mirrors: [{urll: 5, to: '${}'}]", "stores: 7", "mirrors: [{url: x}, {url: x}]\nmirrors: []", "unknown: 1"],
)
def test_faults_of_other_sections_are_ignored(elsewhere: str) -> None:
    found = block(f"daemon: {{state: sqlite:///srv/x}}\n{elsewhere}")
    assert found is not None
    assert found.state == "sqlite:///srv/x"


def test_a_value_of_it_that_is_unset_is_left_out() -> None:
    found = block("daemon: {state: sqlite:///srv/x, api_token: '${NOT_SET}', transfers: '${NOT_SET}'}")
    assert found is not None
    assert (found.state, found.transfers) == ("sqlite:///srv/x", 16)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("daemon: {state: '${NOT_SET}'}", r"m.yaml:1:17: daemon.state: the variable NOT_SET is not set"),
        ("daemon: {state: '${file:/not/there}'}", r"m.yaml:1:17: daemon.state: the file /not/there cannot be read"),
        ("daemon: {state: '${'}", r"m.yaml:1:17: daemon.state: a \$\{ without its \}"),
        ("daemon: {state: 5}", r"m.yaml:1:17: daemon.state: "),
        ("daemon: {stat: x}", r"m.yaml:1:10: daemon.stat: unknown field; did you mean state"),
        ("daemon: {", "not YAML"),
        ("", "the file is empty"),
    ],
)
def test_a_block_that_cannot_be_read_is_an_error(text: str, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        block(text)
