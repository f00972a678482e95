"""Interpolation, and the values of plain scalars: the core types of YAML 1.2, none of the other types of YAML 1.1."""

import os
from pathlib import Path
from typing import Any

import pytest

from mirrord.errors import ManifestError
from mirrord.manifest.manifest import Manifest
from mirrord.manifest.syntax.scalars import BooleanWord, Interpolation, ReferenceText, core_value
from mirrord.units import MiB

ENVIRON = {"NAME": "value", "EMPTY": "", "COUNT": "7", "BRACES": "${NAME}", "DOLLAR": "a$$b"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("False", False),
        ("0", 0),
        ("-12", -12),
        ("+7", 7),
        ("0o17", 15),
        ("0xff", 255),
        ("1.50", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("no", BooleanWord("no")),
        ("On", BooleanWord("On")),
        ("YES", BooleanWord("YES")),
        ("off", BooleanWord("off")),
        ("y", "y"),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("014", "014"),
        ("2024-01-31", "2024-01-31"),
        ("2024-01-31T12:00:00Z", "2024-01-31T12:00:00Z"),
        ("0b101", "0b101"),
        (".nan", ".nan"),
        ("1.2.3", "1.2.3"),
        ("9" * 60, "9" * 60),
        ("=", "="),
        ("-", "-"),
    ],
)
def test_plain_scalars_have_the_core_types_of_yaml_1_2(text: str, value: object) -> None:
    found = core_value(text)
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("plain", "plain"),
        ("${NAME}", "value"),
        ("a${NAME}b${COUNT}", "avalueb7"),
        ("${NAME:-other}", "value"),
        ("${EMPTY:-other}", "other"),
        ("${EMPTY}", ""),
        ("${NOWHERE:-other}", "other"),
        ("${NOWHERE:-}", ""),
        ("${NOWHERE:-a:-b}", "a:-b"),
        ("$$", "$"),
        ("$${NAME}", "${NAME}"),
        ("cost $5", "cost $5"),
        ("$", "$"),
        ("${BRACES}", "${NAME}"),  # values are not interpolated again
        ("${DOLLAR}", "a$$b"),
    ],
)
def test_references_are_replaced(text: str, filled: str) -> None:
    assert Interpolation(ENVIRON, "/").fill(text).text == filled


@pytest.mark.parametrize(
    "text", ["${", "${}", "a ${NAME", "${1A}", "${A B}", "${NAME:-${COUNT}}", "${NAME-x}", "${NOWHERE}"]
)
def test_an_invalid_reference_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"reference|without its|is not set"):
        Interpolation(ENVIRON, "/").fill(text)


def test_a_file_is_read_without_its_last_line_break(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"s3cret\r\n")
    interpolation = Interpolation({}, str(tmp_path))
    assert interpolation.fill(f"${{file:{tmp_path}/key}}!").text == "s3cret!"
    assert interpolation.fill("${file:key}").text == "s3cret"  # relative to the manifest


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * (MiB + 1)])
def test_a_file_that_is_too_large_or_no_text_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(ValueError, match=r"UTF-8|larger than"):
        Interpolation({}, str(tmp_path)).fill("${file:key}")


def test_a_file_of_one_mebibyte_is_read(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"x" * MiB)
    (tmp_path / "key").symlink_to("real")
    assert Interpolation({}, str(tmp_path)).fill("${file:key}").text == "x" * MiB


@pytest.mark.parametrize("path", ["fifo", "link", "/dev/zero", "/dev/null", ".", "/proc/kmsg"])
def test_a_file_that_is_not_regular_is_refused_at_once(tmp_path: Path, path: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("fifo")
    with pytest.raises(ValueError, match="cannot be read"):
        Interpolation({}, str(tmp_path)).fill(f"${{file:{path}}}")


def loaded(text: str, **environ: str) -> Manifest:
    return Manifest.parse("m.yaml", text.encode(), environ)


def test_a_plain_scalar_that_is_wholly_a_reference_has_the_type_of_its_field() -> None:
    text = "mirrors:\n- url: https://h/x\n  to: s3://bbb/x\n  name: ${A}\n  suspend: ${B}\n"
    mirror = loaded(text, A="42", B="true").document.mirrors[0]
    assert (mirror.name, mirror.suspend) == ("42", True)
    daemon = loaded("daemon:\n  transfers: ${N}\n  memory_limit: ${M}\n", N="3", M="33554432").document.daemon
    assert daemon is not None
    assert (daemon.transfers, daemon.memory_limit) == (3, 32 * 1024 * 1024)


def test_a_quoted_reference_is_text() -> None:
    with pytest.raises(ManifestError, match=r'm.yaml:1:21: daemon.transfers: "\$\{N\}" is not a whole number'):
        loaded('daemon: {transfers: "${N}"}', N="3")


def test_a_part_of_a_plain_scalar_is_text() -> None:
    with pytest.raises(ManifestError, match="is not a whole number"):
        loaded("daemon:\n  transfers: 1${N}\n", N="3")


def test_references_in_keys_are_replaced_too() -> None:
    assert loaded('mirrors: {"${BASE}/x": s3://bbb/x}', BASE="https://h").document.mirrors[0].url == "https://h/x"


def test_the_text_of_a_reference_is_plain_text_for_a_text_field() -> None:
    value: Any = loaded("mirrors:\n- url: https://h/x\n  to: ${T}\n", T="s3://bbb/no").document.mirrors[0].to
    assert value == "s3://bbb/no"
    assert ReferenceText("x") == "x"


ENTRIES = """
stores:
  default: {provider: minio, endpoint_url: "${ENDPOINT}", region: "${REGION}"}
mirrors:
- url: ${URL}
  to: s3://bbb/x
- url: https://h/y
  to: s3://${BUCKET}/y
  every: ${EVERY}
- url: https://h/z
  to: s3://bbb/z
  store: ${STORE}
"""


def test_allow_unset_checks_all_but_the_unknown_values() -> None:
    manifest = Manifest.parse("m.yaml", ENTRIES.encode(), {}, allow_unset=True)
    assert manifest.incomplete
    with pytest.raises(ManifestError) as caught:
        Manifest.parse("m.yaml", (ENTRIES + "  drift: x\n").encode(), {}, allow_unset=True)
    assert [str(one)[:36] for one in caught.value.problems] == ['m.yaml:13:10: mirrors[2].drift: "x" ']


def test_allow_unset_is_complete_if_all_variables_are_set() -> None:
    assert not Manifest.parse("m.yaml", b"mirrors: []\nversion: 1\n", {}, allow_unset=True).incomplete
