"""The template unit, the user's unit and the drop-in: systemd accepts them, and they differ from the system's unit only
where they must. test_deployment_files.py has the system's unit.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "configs" / "systemd"
SYSTEM, TEMPLATE, USER = (UNITS / name for name in ("mirrord.service", "mirrord@.service", "user/mirrord.service"))
DROP_IN = UNITS / "mirrord.service.d" / "folders.conf"
DOCS = (ROOT / "docs" / "systemd.md").read_text()
PROGRAM = re.compile(r"(?<=^ExecStart=)\S+", re.MULTILINE)
WITHOUT_ROOT = {
    *("NoNewPrivileges", "LockPersonality", "MemoryDenyWriteExecute", "RestrictAddressFamilies", "RestrictNamespaces"),
    *("RestrictRealtime", "RestrictSUIDSGID", "SystemCallArchitectures", "SystemCallFilter", "SystemCallErrorNumber"),
}
"""Hardening that a user's systemd can give without user namespaces."""


def settings(file: Path) -> list[str]:
    return [line for line in file.read_text().splitlines() if line and not line.startswith("#")]


def installed(unit: Path, directory: Path) -> Path:
    """The unit with a program that exists, in a directory of its own."""
    copy = directory / unit.name
    copy.write_text(PROGRAM.sub("/bin/sh", unit.read_text()))
    return copy


def analyze(home: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("no systemd-analyze is installed")
    env = os.environ | {"XDG_RUNTIME_DIR": str(home)}
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, env=env, check=False)


@pytest.mark.parametrize("wrong", [False, True], ids=["as it is", "with a mistake"])
@pytest.mark.parametrize(
    ("unit", "options"), [(SYSTEM, []), (TEMPLATE, []), (USER, ["--user"])], ids=lambda one: str(one)
)
def test_systemd_accepts_the_unit(unit: Path, options: list[str], wrong: bool, tmp_path: Path) -> None:
    copy = installed(unit, tmp_path)
    if wrong:
        copy.write_text(copy.read_text().replace("LockPersonality=", "LockPersonaliti="))
    done = analyze(tmp_path, *options, "verify", copy)
    assert ("Unknown key 'LockPersonaliti'" in done.stderr) == wrong
    assert wrong or (done.returncode, done.stderr) == (0, "")


def test_systemd_accepts_the_drop_in(tmp_path: Path) -> None:
    unit = installed(SYSTEM, tmp_path)
    shutil.copytree(DROP_IN.parent, tmp_path / DROP_IN.parent.name)
    done = analyze(tmp_path, "verify", unit)
    assert (done.returncode, done.stderr) == (0, "")


def exposure(unit: Path, home: Path, threshold: int, *options: str) -> subprocess.CompletedProcess[str]:
    return analyze(home, *options, "security", "--offline=true", "--no-pager", f"--threshold={threshold}", unit)


@pytest.mark.parametrize("unit", [SYSTEM, TEMPLATE], ids=lambda unit: unit.name)
@pytest.mark.parametrize("drop_in", [False, True], ids=["alone", "with the drop-in"])
def test_a_unit_of_the_system_is_exposed_below_two(unit: Path, drop_in: bool, tmp_path: Path) -> None:
    copy = installed(unit, tmp_path)
    if drop_in:
        shutil.copytree(DROP_IN.parent, tmp_path / f"{unit.name}.d")
    done = exposure(copy, tmp_path, 20)
    assert done.returncode == 0, done.stdout
    if drop_in:
        assert "fake empty home directories" in done.stdout, "the drop-in counts"
    copy.write_text(copy.read_text().replace("CapabilityBoundingSet=\n", "").replace("DynamicUser=yes\n", ""))
    assert exposure(copy, tmp_path, 20).returncode != 0, "the check can fail"


def test_the_exposure_of_the_units_is_as_documented(tmp_path: Path) -> None:
    found = {}
    for unit, options in ((SYSTEM, []), (USER, ["--user"])):
        done = exposure(installed(unit, tmp_path), tmp_path, 100, *options)
        (found[unit],) = re.findall(r"exposure level for mirrord.service: ([\d.]+)", done.stdout)
    assert float(found[SYSTEM]) < 2.0
    (documented,) = re.findall(r"systemd-analyze security` .* rates it ([\d.]+), the system's unit ([\d.]+)", DOCS)
    for value, unit in zip(documented, (USER, SYSTEM), strict=True):
        assert abs(float(value) - float(found[unit])) < 0.5, "each version of systemd has its own scale"


def test_the_template_differs_by_its_instance_only() -> None:
    expected = "\n".join(settings(SYSTEM))
    for old, new in {
        "=mirrord, keeps": "=mirrord of %i, keeps",
        "run /etc/mirrord": "run /etc/mirrord/%i",
        "StateDirectory=mirrord": "StateDirectory=mirrord-%i",
        "EnvironmentFile=-/etc/mirrord/": "Environment=MIRRORD_LISTEN=127.0.0.1:0\nEnvironmentFile=-/etc/mirrord/%i/",
    }.items():
        assert expected.count(old) == 1, old
        expected = expected.replace(old, new)
    assert settings(TEMPLATE) == expected.splitlines()


def test_the_unit_of_a_user_has_what_needs_no_root() -> None:
    system, user = settings(SYSTEM), settings(USER)
    hardening = {line for line in system if line.partition("=")[0] in WITHOUT_ROOT}
    assert {line.partition("=")[0] for line in hardening} == WITHOUT_ROOT
    assert set(user) - set(system) == {
        "ExecStart=%h/.local/share/mirrord/bin/mirrord run %h/.config/mirrord",
        "EnvironmentFile=-%h/.config/mirrord/environment",
        "WantedBy=default.target",
    }
    assert hardening <= set(user)
    left_out = {line.partition("=")[0] for line in set(system) - set(user)}
    assert "DynamicUser" in left_out
    assert "StateDirectory" in left_out, "its place depends on the version of systemd"
    assert not any(key.startswith(("Protect", "Private", "Capability")) for key in map(str, user)), "these need root"


@pytest.mark.parametrize("setting", [line for line in settings(DROP_IN) if "=" in line])
def test_the_drop_in_tolerates_a_missing_path(setting: str) -> None:
    key, _, value = setting.partition("=")
    assert key in {"SupplementaryGroups", "ProtectHome", "BindReadOnlyPaths", "ReadWritePaths"}
    assert not key.endswith("Paths") or all(path.startswith("-/") for path in value.split())


def test_the_installation_is_that_of_the_image() -> None:
    image = (ROOT / "Dockerfile").read_text()
    for options in ("--require-hashes --requirement requirements.lock", "--no-deps --no-build-isolation ."):
        assert f"pip install --quiet {options}" in image
        assert f"/opt/mirrord/bin/pip install {options}" in DOCS


def test_each_file_is_named_in_the_documentation() -> None:
    assert [file for file in UNITS.rglob("*.*") if file.is_file() and str(file.relative_to(ROOT)) not in DOCS] == []
