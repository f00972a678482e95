"""Dockerfile and docker-compose.yml hold together; what no engine is needed for."""

import re
import tomllib
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
INSTRUCTIONS = [line.split(maxsplit=1) for line in DOCKERFILE.replace("\\\n", " ").splitlines() if line[:1].isupper()]


def arguments(instruction: str) -> list[str]:
    return [rest for name, rest in INSTRUCTIONS if name == instruction]


def pinned(image: str) -> bool:
    """By a tag that names one release: digits and no moving word."""
    _, colon, tag = image.rpartition(":")
    return bool(colon) and bool(re.search(r"\d+[.-]\d+[.-]\d+", tag)) and "latest" not in tag


def test_images_are_pinned() -> None:
    assert not pinned("minio/minio"), "the check can fail"
    assert not pinned("minio/minio:latest")
    images = [service["image"] for service in COMPOSE["services"].values() if "image" in service]
    bases = [base.split()[0] for base in arguments("FROM")]
    assert len(images) == 1
    assert len(bases) == 2
    assert all(map(pinned, images + bases)), images + bases


def test_the_image_is_built_from_the_lock_and_runs_unprivileged() -> None:
    assert any("--require-hashes --requirement requirements.lock" in run for run in arguments("RUN"))
    assert arguments("USER") == ["10001:10001"]
    assert arguments("ENTRYPOINT") == ['["mirrord"]']


def test_what_the_dockerfile_copies_exists_and_is_not_ignored() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {name for copy in arguments("COPY") if not copy.startswith("--from") for name in copy.split()[:-1]}
    assert copied == kept
    assert all((ROOT / name).exists() for name in copied)
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = {pyproject["project"]["readme"], *pyproject["project"]["license-files"]}
    assert needed <= copied, "the build reads them"


def test_every_mount_of_the_composition_exists() -> None:
    named = set(COMPOSE["volumes"])
    for service in COMPOSE["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in named or (source.startswith("./") and (ROOT / source).exists()), volume


def test_the_composition_is_consistent() -> None:
    services = COMPOSE["services"]
    mirrord = services["mirrord"]
    assert (ROOT / mirrord["build"] / "Dockerfile").is_file()
    assert set(mirrord["depends_on"]) <= set(services)
    assert all("healthcheck" in services[name] for name in mirrord["depends_on"])
    for service in services.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    mounts = {volume.split(":")[1]: volume.split(":")[0] for volume in mirrord["volumes"]}
    config = mirrord["command"].split()[-1]
    assert any(inside.startswith(config) for inside in mounts), "the command reads what is mounted"


def test_the_mounted_manifest_names_only_what_the_composition_gives() -> None:
    mirrord = COMPOSE["services"]["mirrord"]
    mounts = {volume.split(":")[1]: volume.split(":")[0] for volume in mirrord["volumes"]}
    manifest = (ROOT / mounts["/etc/mirrord/compose.yaml"]).read_text()
    assert set(re.findall(r"\$\{(\w+)", manifest)) <= set(mirrord["environment"])
    assert all(folder["path"] in mounts for folder in yaml.safe_load(manifest)["folders"])
