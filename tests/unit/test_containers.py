"""Dockerfile and the compose files hold together; what no engine is needed for."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from mirrord._version import __version__
from mirrord.manifest.load import parse
from mirrord.settings import Settings, resolve
from mirrord.units import parse_duration

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, dict[str, Any]] = {
    name: yaml.safe_load((ROOT / name).read_text()) for name in ("docker-compose.yml", "docker-compose.minio.yml")
}
DOCKERFILE = (ROOT / "Dockerfile").read_text()
INSTRUCTIONS = [line.split(maxsplit=1) for line in DOCKERFILE.replace("\\\n", " ").splitlines() if line[:1].isupper()]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

each_composition = pytest.mark.parametrize("composition", COMPOSE.values(), ids=COMPOSE)


def arguments(instruction: str) -> list[str]:
    return [rest for name, rest in INSTRUCTIONS if name == instruction]


def pinned(image: str) -> bool:
    """By a tag that names one release, for people, and by a digest, for machines."""
    name, at, digest = image.partition("@")
    _, colon, tag = name.rpartition(":")
    by_tag = bool(colon) and bool(re.search(r"\d+[.-]\d+", tag)) and "latest" not in tag
    return by_tag and bool(at) and bool(re.fullmatch(r"sha256:[0-9a-f]{64}", digest))


def store_of(composition: dict[str, Any]) -> Any:
    """The service beside mirrord."""
    (name,) = composition["services"]["mirrord"]["depends_on"]
    return composition["services"][name]


def mounts_of(service: Any) -> dict[str, str]:
    """Container's path -> where it comes from."""
    return {volume.split(":")[1]: volume.split(":")[0] for volume in service.get("volumes", [])}


def given(text: str) -> str:
    """A value of a compose file as compose reads it in an environment without variables."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


# ── the image ─────────────────────────────────────────────────────────────────────────────────────
def test_images_are_pinned() -> None:
    assert not pinned("minio/minio"), "the check can fail"
    assert not pinned(f"minio/minio:latest@sha256:{'0' * 64}")
    assert not pinned("chrislusf/seaweedfs:4.48")
    images = [store_of(composition)["image"] for composition in COMPOSE.values()]
    bases = [base.split()[0] for base in arguments("FROM")]
    assert len(bases) == 2
    assert len(set(bases)) == 1, "what is built runs on what it was built on"
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
    needed = {PROJECT["readme"], *PROJECT["license-files"]}
    assert needed <= copied, "the build reads them"


def test_the_image_runs_the_daemon_by_itself() -> None:
    assert arguments("CMD") == ['["run", "/etc/mirrord"]']
    environment = dict(pair.split("=", 1) for line in arguments("ENV") for pair in line.split())
    settings = resolve({}, environment, {})
    host, _, port = settings.listen.rpartition(":")
    assert host == "0.0.0.0", "nothing else can be published"
    assert arguments("EXPOSE") == [port]
    assert arguments("VOLUME") == [str(settings.directory)]


def test_its_health_is_asked_of_the_address_it_listens_on() -> None:
    (check,) = arguments("HEALTHCHECK")
    program, flag, code = json.loads(check.partition("CMD ")[2])
    assert (program, flag) == ("python", "-c")
    compile(code, "HEALTHCHECK", "exec")
    (port,) = arguments("EXPOSE")
    assert f"'127.0.0.1', {port}" in code
    assert "'/livez'" in code


def test_its_labels_are_those_of_the_project() -> None:
    labels = dict(re.findall(r'org\.opencontainers\.image\.([\w.]+)="([^"]+)"', DOCKERFILE))
    assert labels["title"] == PROJECT["name"]
    assert labels["version"] == __version__
    assert labels["licenses"] == PROJECT["license"]
    urls = PROJECT["urls"]
    assert (labels["url"], labels["source"], labels["documentation"]) == (
        urls["Homepage"],
        urls["Repository"],
        urls["Documentation"],
    )
    assert labels["base.name"].rpartition("/")[2] == arguments("FROM")[0].partition("@")[0]


# ── the compositions ──────────────────────────────────────────────────────────────────────────────
@each_composition
def test_every_mount_exists(composition: dict[str, Any]) -> None:
    named = set(composition["volumes"])
    for service in composition["services"].values():
        for source in mounts_of(service).values():
            assert source in named or (source.startswith("./") and (ROOT / source).is_dir()), source


@each_composition
def test_it_runs_the_daemon_on_mounted_manifests(composition: dict[str, Any]) -> None:
    mirrord = composition["services"]["mirrord"]
    assert (ROOT / mirrord["build"] / "Dockerfile").is_file()
    assert "command" not in mirrord, "the image's: run /etc/mirrord"
    assert all(condition["condition"] == "service_healthy" for condition in mirrord["depends_on"].values())
    assert "healthcheck" in store_of(composition)
    assert "127.0.0.1:8420:8420" in mirrord["ports"]
    assert mirrord["environment"]["MIRRORD_HOSTS"] == "mirrord"
    assert parse_duration(mirrord["stop_grace_period"]) > Settings(state=Path("/")).shutdown_grace + 10
    manifest = ROOT / mounts_of(mirrord)["/etc/mirrord"] / "mirrord.yaml"
    environment = {name: given(value) for name, value in mirrord["environment"].items()}
    loaded = parse(manifest.name, manifest.read_bytes(), environment)
    assert loaded.problems == ()
    assert all(folder.path in mounts_of(mirrord) for folder in loaded.document.folders)
    assert loaded.document.folders


@each_composition
def test_only_loopback_is_published_and_of_the_store_only_s3(composition: dict[str, Any]) -> None:
    for service in composition["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        assert len(service["ports"]) == 1
    asked = re.search(r"http://[\w.]+:(\d+)", json.dumps(composition["services"]["mirrord"]["environment"]))
    assert asked
    assert store_of(composition)["ports"] == [f"127.0.0.1:{asked[1]}:{asked[1]}"]


def test_both_may_run_on_one_machine_in_turn() -> None:
    """A MinIO must not find the volumes of a SeaweedFS."""
    assert len({composition["name"] for composition in COMPOSE.values()}) == 2


def test_the_second_one_is_the_frozen_minio() -> None:
    composition = COMPOSE["docker-compose.minio.yml"]
    assert store_of(composition)["image"].startswith("quay.io/minio/minio:RELEASE.")
    assert {"MINIO_SERVER_URL", "MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD"} <= set(
        composition["services"]["mirrord"]["environment"]
    )
    assert "unmaintained" in (ROOT / "docker-compose.minio.yml").read_text()
