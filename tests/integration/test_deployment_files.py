"""The systemd unit and the Kubernetes objects agree with each other, with the image and with mirrord.

Offline. Kubernetes rejects unknown fields only with validation, which needs kubectl and a cluster. Instead, the schema
below has every field that the files may use, with the spelling and the types of Kubernetes 1.32.
"""

import configparser
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from mirrord._version import __version__
from mirrord.cli import exits
from mirrord.cli.main import commands
from mirrord.manifest.discover import discover
from mirrord.manifest.load import parse
from mirrord.manifest.manifest import load_all
from mirrord.planning.items.expand import expand
from mirrord.settings import Settings, resolve
from mirrord.units import MiB, parse_duration, parse_size
from mirrord.web.hosts import hosts_of
from tests.support.json_schemas import validator

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "configs" / "systemd" / "mirrord.service"
KUBERNETES = ROOT / "configs" / "kubernetes"
DEFAULTS = Settings(state=Path("/state.db"))
OVERHEAD = 160 * MiB  # guarantee 8
DOCKERFILE = (ROOT / "Dockerfile").read_text()


# ── systemd ───────────────────────────────────────────────────────────────────────────────────────
class Unit(configparser.ConfigParser):
    """The unit as sections of keys; a key that is given several times has one value a line."""

    def __init__(self) -> None:
        super().__init__(strict=False, interpolation=None, delimiters=("=",), comment_prefixes=("#",))
        seen: dict[str, list[str]] = {}
        section = ""
        lines: list[str] = []
        for line in UNIT.read_text().splitlines():
            section = line if line.startswith("[") else section
            key, found, value = line.partition("=")
            if found and not line.startswith("#"):
                seen.setdefault(section + key, []).append(value)
                line = f"{key}={' | '.join(seen[section + key])}"
            lines.append(line)
        self.read_string("\n".join(lines))

    def optionxform(self, optionstr: str) -> str:
        return optionstr


@pytest.fixture(scope="module")
def service() -> Any:
    return Unit()["Service"]


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    unit = Unit()
    assert unit.sections() == ["Unit", "Service", "Install"]
    assert unit["Install"]["WantedBy"] == "multi-user.target"
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("/opt/mirrord/bin/mirrord", "/bin/sh"))
    if shutil.which("systemd-analyze"):
        done = subprocess.run(["systemd-analyze", "verify", copy], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")


def test_it_runs_a_command_that_exists(service: Any) -> None:
    program, *arguments = service["ExecStart"].split()
    assert program == "/opt/mirrord/bin/mirrord"
    assert "/opt/mirrord/bin" in DOCKERFILE, "the unit and the image use the same path"
    assert arguments == ["run", "/etc/mirrord"]
    assert commands.get_command(click.Context(commands), "run") is not None


def test_it_notifies_systemd_and_reloads_by_sighup(service: Any) -> None:
    assert (service["Type"], service["NotifyAccess"]) == ("notify", "main")
    assert service["ExecReload"].endswith("kill -HUP $MAINPID")
    assert seconds(service["WatchdogSec"]) >= 4 * 10, (
        "the supervisor restarts a failed task within one missed watchdog message"
    )


def test_it_has_time_to_stop(service: Any) -> None:
    assert seconds(service["TimeoutStopSec"]) > DEFAULTS.shutdown_grace + 10
    assert service["KillMode"] == "mixed", "only the daemon gets SIGTERM; its children end with it"


def test_it_restarts_after_all_that_may_heal(service: Any) -> None:
    assert service["Restart"] == "on-failure"
    prevented = {int(code) for code in service["RestartPreventExitStatus"].split()}
    assert prevented == {exits.USAGE, exits.INVALID}
    assert Unit()["Unit"]["StartLimitIntervalSec"] == "0"


def test_its_state_directory_is_the_one_of_mirrord(service: Any) -> None:
    directory = f"/var/lib/{service['StateDirectory']}"
    settings = resolve({}, {"STATE_DIRECTORY": directory}, {})
    assert settings.directory == Path(directory)
    assert service["StateDirectoryMode"] == "0700"
    assert service["UMask"] == "0077"


def test_its_memory_is_what_is_promised(service: Any) -> None:
    assert parse_size(service["MemoryMax"] + "iB") >= DEFAULTS.memory_limit + OVERHEAD


HARDENED = {
    "DynamicUser": "yes",
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectControlGroups": "yes",
    "ProtectClock": "yes",
    "ProtectHostname": "yes",
    "RestrictNamespaces": "yes",
    "RestrictSUIDSGID": "yes",
    "RestrictRealtime": "yes",
    "LockPersonality": "yes",
    "MemoryDenyWriteExecute": "yes",
    "CapabilityBoundingSet": "",
    "SystemCallArchitectures": "native",
    "SystemCallFilter": "@system-service | ~@privileged @resources",
}


@pytest.mark.parametrize(("key", "value"), HARDENED.items(), ids=HARDENED)
def test_it_is_hardened(service: Any, key: str, value: str) -> None:
    assert service[key] == value


def test_secrets_come_from_outside_the_unit(service: Any) -> None:
    assert service["EnvironmentFile"].startswith("-"), "optional"
    assert not any(key in service for key in ("Environment", "SetCredential"))
    (name,) = re.findall(r"^#LoadCredential=([\w-]+):/\S+$", UNIT.read_text(), re.MULTILINE)
    assert f"/run/credentials/{UNIT.name}/{name}" in UNIT.read_text()
    assert f"/run/credentials/{UNIT.name}/{name}" in (ROOT / "docs" / "systemd.md").read_text()


def seconds(text: str) -> float:
    return parse_duration(text)


def packaged_manifests() -> dict[str, str]:
    """The manifests that the units, the compose files and the ConfigMap run, by name."""
    paths = [UNIT.with_name("mirrord.yaml"), *sorted((ROOT / "configs" / "compose").glob("*/*.yaml"))]
    return {str(one.relative_to(ROOT)): one.read_text() for one in paths} | OBJECTS["ConfigMap"]["data"]


def test_packaged_manifests_limit_the_files_that_are_read() -> None:
    found = packaged_manifests()
    assert len(found) == 4
    for name, text in found.items():
        daemon = parse(name, text.encode(), {}, allow_unset=True).document.daemon
        assert daemon is not None, name
        assert daemon.file_roots == ("/srv",), name
    assert "configs/systemd/mirrord.yaml /etc/mirrord/" in (ROOT / "docs" / "systemd.md").read_text()


# ── Kubernetes ────────────────────────────────────────────────────────────────────────────────────
def closed(required: str = "", **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": required.split(),
        "properties": properties,
    }


def each(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": schema, "minItems": 1}


TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
WHOLE = {"type": "integer"}
YES = {"type": "boolean"}
NAME = {"type": "string", "pattern": r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"}
TEXTS = {"type": "object", "additionalProperties": TEXT, "propertyNames": {"pattern": r"^[\w./-]+$"}}
QUANTITIES = closed(
    cpu={"type": "string", "pattern": r"^\d+m?$"},
    memory={"type": "string", "pattern": r"^\d+[KMG]i$"},
    storage={"type": "string", "pattern": r"^\d+[KMG]i$"},
)
METADATA = closed("name labels", name=NAME, labels=TEXTS)
PROBE = closed(
    "httpGet",
    httpGet=closed("path port", path=TEXT, port=NAME),
    periodSeconds=WHOLE,
    timeoutSeconds=WHOLE,
    failureThreshold=WHOLE,
)
CONTAINER = closed(
    "name image args env ports livenessProbe readinessProbe resources securityContext volumeMounts",
    name=NAME,
    image=TEXT,
    args=each(TEXT),
    env=each(closed("name value", name=TEXT, value=TEXT)),
    envFrom=each(closed("secretRef", secretRef=closed("name", name=NAME))),
    ports=each(closed("name containerPort", name=NAME, containerPort=WHOLE)),
    startupProbe=PROBE,
    livenessProbe=PROBE,
    readinessProbe=PROBE,
    resources=closed("requests limits", requests=QUANTITIES, limits=QUANTITIES),
    securityContext=closed(
        "allowPrivilegeEscalation readOnlyRootFilesystem capabilities",
        allowPrivilegeEscalation=YES,
        readOnlyRootFilesystem=YES,
        capabilities=closed("drop", drop=each(TEXT)),
    ),
    volumeMounts=each(closed("name mountPath", name=NAME, mountPath=TEXT, readOnly=YES)),
)
VOLUME = closed(
    "name",
    name=NAME,
    configMap=closed("name", name=NAME),
    persistentVolumeClaim=closed("claimName", claimName=NAME),
    emptyDir=closed(sizeLimit=TEXT),
)
POD = closed(
    "containers volumes securityContext terminationGracePeriodSeconds",
    automountServiceAccountToken=YES,
    enableServiceLinks=YES,
    terminationGracePeriodSeconds=WHOLE,
    securityContext=closed(
        "runAsNonRoot runAsUser runAsGroup fsGroup seccompProfile",
        runAsNonRoot=YES,
        runAsUser=WHOLE,
        runAsGroup=WHOLE,
        fsGroup=WHOLE,
        fsGroupChangePolicy={"enum": ["OnRootMismatch", "Always"]},
        seccompProfile=closed("type", type={"const": "RuntimeDefault"}),
    ),
    containers=each(CONTAINER),
    volumes=each(VOLUME),
)


def kind(api: str, name: str, **properties: Any) -> dict[str, Any]:
    required = f"apiVersion kind metadata {' '.join(properties)}"
    return closed(required, apiVersion={"const": api}, kind={"const": name}, metadata=METADATA, **properties)


SCHEMAS = {
    "ConfigMap": kind("v1", "ConfigMap", data=TEXTS),
    "Secret": kind("v1", "Secret", stringData=TEXTS),
    "PersistentVolumeClaim": kind(
        "v1",
        "PersistentVolumeClaim",
        spec=closed(
            "accessModes resources",
            accessModes=each({"enum": ["ReadWriteOnce", "ReadWriteOncePod"]}),
            resources=closed("requests", requests=QUANTITIES),
        ),
    ),
    "Service": kind(
        "v1",
        "Service",
        spec=closed(
            "selector ports",
            selector=TEXTS,
            ports=each(closed("name port targetPort", name=NAME, port=WHOLE, targetPort=NAME)),
        ),
    ),
    "Deployment": kind(
        "apps/v1",
        "Deployment",
        spec=closed(
            "replicas strategy selector template",
            replicas=WHOLE,
            strategy=closed("type", type={"enum": ["Recreate", "RollingUpdate"]}),
            selector=closed("matchLabels", matchLabels=TEXTS),
            template=closed("metadata spec", metadata=closed("labels", labels=TEXTS, annotations=TEXTS), spec=POD),
        ),
    ),
}

KUSTOMIZATION: dict[str, Any] = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())
OBJECTS: dict[str, dict[str, Any]] = {
    one["kind"]: one
    for path in sorted(KUBERNETES.glob("*.yaml"))
    if path.name != "kustomization.yaml"
    for one in yaml.safe_load_all(path.read_text())
}
SPEC: dict[str, Any] = OBJECTS["Deployment"]["spec"]
PODS: dict[str, Any] = SPEC["template"]["spec"]
(MIRRORD,) = PODS["containers"]
SECRET: dict[str, str] = OBJECTS["Secret"]["stringData"]
ENVIRON = {one["name"]: one["value"] for one in MIRRORD["env"]} | SECRET


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_field_is_one_of_kubernetes(name: str) -> None:
    validator(SCHEMAS[name]).validate(OBJECTS[name])
    broken = {**OBJECTS[name], "spek": {}}
    assert not validator(SCHEMAS[name]).is_valid(broken), "the check can fail"


def test_all_are_applied_but_the_example_of_a_secret() -> None:
    assert set(OBJECTS) == set(SCHEMAS)
    files = {path.name for path in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml", "secret.example.yaml"}
    assert set(KUSTOMIZATION["resources"]) == files
    assert KUSTOMIZATION["kind"] == "Kustomization"


def test_they_find_each_other() -> None:
    labels = SPEC["template"]["metadata"]["labels"]
    selector = SPEC["selector"]["matchLabels"]
    assert selector == OBJECTS["Service"]["spec"]["selector"] == {"app.kubernetes.io/name": "mirrord"}
    assert selector.items() <= labels.items(), "a selector never changes; more labels may be added"
    volumes = {volume["name"]: volume for volume in PODS["volumes"]}
    assert volumes["manifests"]["configMap"]["name"] == OBJECTS["ConfigMap"]["metadata"]["name"]
    claim = OBJECTS["PersistentVolumeClaim"]["metadata"]["name"]
    assert volumes["state"]["persistentVolumeClaim"]["claimName"] == claim
    assert [mount["name"] for mount in MIRRORD["volumeMounts"]] == list(volumes)
    assert MIRRORD["envFrom"] == [{"secretRef": {"name": OBJECTS["Secret"]["metadata"]["name"]}}]


def test_the_service_is_asked_by_its_names() -> None:
    hosts = hosts_of("0.0.0.0", "mirrord-5d9f-x2", resolve({}, ENVIRON, {}).hosts)
    name = OBJECTS["Service"]["metadata"]["name"]
    for host in (name, f"{name}.mirrord", f"{name}.other.svc", f"{name}.other.svc.cluster.local:8420", "10.1.2.3:8420"):
        assert hosts.known(host), host
    assert not hosts.known("evil.example")


def test_one_pod_has_the_state() -> None:
    assert SPEC["replicas"] == 1
    assert SPEC["strategy"] == {"type": "Recreate"}


def test_the_image_is_this_version_as_the_dockerfile_makes_it() -> None:
    name, _, tag = MIRRORD["image"].partition(":")
    (image,) = KUSTOMIZATION["images"]
    assert (name, tag) == (image["name"], image["newTag"]) == ("mirrord", __version__)
    assert 'ENTRYPOINT ["mirrord"]' in DOCKERFILE
    assert commands.get_command(click.Context(commands), MIRRORD["args"][0]) is not None


def test_it_is_unprivileged_and_writes_to_its_volumes_only() -> None:
    security = PODS["securityContext"]
    (user,) = re.findall(r"^USER (\d+):(\d+)$", DOCKERFILE, re.MULTILINE)
    assert (str(security["runAsUser"]), str(security["runAsGroup"])) == user
    assert security["runAsNonRoot"] is True
    assert security["fsGroup"] == security["runAsGroup"], "a new volume belongs to root"
    assert MIRRORD["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert PODS["automountServiceAccountToken"] is False


def test_ports_and_paths_are_those_that_mirrord_serves() -> None:
    settings = resolve({}, ENVIRON, {})
    host, _, port = settings.listen.rpartition(":")
    assert host == "0.0.0.0", "the kubelet probes from outside the pod"
    assert MIRRORD["ports"] == [{"name": "http", "containerPort": int(port)}]
    (served,) = OBJECTS["Service"]["spec"]["ports"]
    assert (served["port"], served["targetPort"]) == (int(port), "http")
    annotations = SPEC["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == port
    paths = {name: MIRRORD[name]["httpGet"]["path"] for name in MIRRORD if name.endswith("Probe")}
    assert paths == {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
    assert {MIRRORD[name]["httpGet"]["port"] for name in paths} == {"http"}
    routes = "".join(path.read_text() for path in (ROOT / "mirrord" / "web").glob("*.py"))
    assert all(f'"{path}"' in routes for path in [*paths.values(), annotations["prometheus.io/path"]])


def test_its_state_is_below_a_volume_and_its_own() -> None:
    mounts = {mount["name"]: mount["mountPath"] for mount in MIRRORD["volumeMounts"]}
    directory = resolve({}, ENVIRON, {}).directory
    assert directory.parent == Path(mounts["state"]), "fsGroup makes the mount accessible to the group"
    assert mounts["manifests"] == MIRRORD["args"][1]
    assert all("subPath" not in mount for mount in MIRRORD["volumeMounts"])


def test_it_has_time_to_stop_and_memory_to_work() -> None:
    settings = resolve({}, ENVIRON, {})
    assert PODS["terminationGracePeriodSeconds"] > settings.shutdown_grace + 10
    limit = MIRRORD["resources"]["limits"]["memory"]
    assert parse_size(limit + "B") >= settings.memory_limit + OVERHEAD


def test_the_manifest_of_the_config_map_works(tmp_path: Path) -> None:
    """The ConfigMap as in the pod: a mount of links into `..data`, with the variables of the Secret."""
    data = tmp_path / "..2026"
    data.mkdir()
    (tmp_path / "..data").symlink_to("..2026")
    for name, text in OBJECTS["ConfigMap"]["data"].items():
        (data / name).write_text(text)
        (tmp_path / name).symlink_to(f"..data/{name}")
    files = discover([str(tmp_path)])
    assert [Path(file).name for file in files] == list(OBJECTS["ConfigMap"]["data"])
    loaded = load_all(files, ENVIRON)
    assert loaded.problems == ()
    expansion = expand(loaded)
    assert not any(one.problems for one in expansion.files)
    assert len(list(expansion.items)) == 1
    assert loaded.stores["default"].endpoint_url == SECRET["MINIO_SERVER_URL"]


def test_the_manifest_asks_for_no_variable_that_the_secret_lacks() -> None:
    (text,) = OBJECTS["ConfigMap"]["data"].values()
    assert set(re.findall(r"\$\{(\w+)", text)) <= set(SECRET)
    parse("mirrord.yaml", text.encode(), SECRET)
