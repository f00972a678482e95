"""The Helm chart, with the real helm: fourteen sets of values render objects that Kubernetes accepts and manifests that
mirrord accepts; wrong values are refused with the remedy; the pod equals that of configs/kubernetes.
"""

import functools
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from mirrord._version import __version__
from mirrord.manifest.load import parse
from mirrord.manifest.schema.json_schema import json_schema
from mirrord.settings import HOST_PATTERN, Settings, resolve
from mirrord.units import MiB
from tests.support import helm
from tests.support.fences import fences_of
from tests.support.helm import CHART, needs_helm

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "configs" / "kubernetes"
VALUES = {file.stem: file for file in sorted((Path(__file__).parent / "helm_values").glob("*.yaml"))}
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
DEFAULTS = Settings(state=Path("/state.db"))
TEXT = {"type": "string", "minLength": 1}
TEXTS = {"type": "object", "additionalProperties": TEXT}
pytestmark = pytest.mark.xdist_group("helm")  # one worker renders each set once

each_set = pytest.mark.parametrize("name", VALUES)


@functools.cache
def rendered(name: str) -> str:
    return helm.template(VALUES[name])


def pod(name: str) -> dict[str, Any]:
    spec: dict[str, Any] = helm.objects(rendered(name))["Deployment"]["spec"]["template"]["spec"]
    return spec


def container(name: str) -> dict[str, Any]:
    (one,) = pod(name)["containers"]
    return dict(one)


def variables(name: str) -> dict[str, str]:
    return {one["name"]: one.get("value", "") for one in container(name)["env"]}


# ── what Kubernetes and the operator of Prometheus accept ─────────────────────────────────────────
def closed(required: str, **properties: Any) -> dict[str, Any]:
    base = {"type": "object", "additionalProperties": False}
    return base | {"required": required.split(), "properties": properties}


def custom(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = closed("name labels", name=TEXT, namespace=TEXT, labels=TEXTS)
    kinds = {"apiVersion": {"const": "monitoring.coreos.com/v1"}, "kind": {"const": kind}}
    return closed("apiVersion kind metadata spec", **kinds, metadata=metadata, spec=spec)


CREDENTIALS = closed("credentials", credentials=closed("name key", name=TEXT, key=TEXT))
RELABELING = closed("action", sourceLabels={"type": "array", "items": TEXT}, regex=TEXT, action={"const": "keep"})
RELABELINGS = {"type": "array", "items": RELABELING}
ENDPOINT = closed("port path", port=TEXT, path=TEXT, interval=TEXT, authorization=CREDENTIALS, relabelings=RELABELINGS)
RULE = {"alert": TEXT, "expr": TEXT, "for": TEXT, "labels": TEXTS, "annotations": TEXTS}
GROUP = closed("name rules", name=TEXT, rules={"type": "array", "items": closed("alert expr", **RULE)})
CUSTOM = {
    "PodMonitor": custom(
        "PodMonitor",
        closed(
            "selector podMetricsEndpoints",
            selector=closed("matchLabels", matchLabels=TEXTS),
            podMetricsEndpoints={"type": "array", "items": ENDPOINT, "minItems": 1},
        ),
    ),
    "PrometheusRule": custom("PrometheusRule", closed("groups", groups={"type": "array", "items": GROUP})),
}
"""The fields that the operator documents for its kinds, as far as the chart uses them."""


@pytest.fixture(scope="module")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("schemas")
    helm.unpack_schemas(directory)
    for kind, schema in CUSTOM.items():
        (directory / f"{kind.lower()}-monitoring-v1.json").write_text(json.dumps(schema))
    return directory


def test_there_are_fourteen_sets() -> None:
    assert len(VALUES) == 14


@needs_helm
@pytest.mark.parametrize("version", helm.VERSIONS)
def test_kubernetes_accepts_the_objects_of_each_set(version: str, schemas: Path, tmp_path: Path) -> None:
    files = {tmp_path / f"{name}.yaml": rendered(name) for name in VALUES}
    for file, text in files.items():
        file.write_text(text)
    base = [file for file in KUBERNETES.glob("*.yaml") if file.name != "kustomization.yaml"]
    assert helm.faults(schemas, version, [*files, *base]) == []


@needs_helm
def test_a_fault_is_found(schemas: Path, tmp_path: Path) -> None:
    faults = {"Deployment": ("runAsUser:", "runAsUzer:"), "PodMonitor": ("interval: 1m", "interval: 1"),
              "A": ("kind: Service\n", "kind: A\n")}  # fmt: skip
    for kind, (right, wrong) in faults.items():
        assert right in rendered("monitoring")
        (tmp_path / f"{kind}.yaml").write_text(rendered("monitoring").replace(right, wrong))
    found = helm.faults(schemas, helm.VERSIONS[-1], tmp_path.iterdir())
    assert sorted(line.split(": ")[1] for line in found) == sorted(faults)


@needs_helm
@each_set
def test_helm_finds_no_fault(name: str) -> None:
    done = helm.helm("lint", "--strict", CHART, "--values", VALUES[name])
    assert done.returncode == 0, done.stdout + done.stderr


def shown() -> dict[str, str]:
    """The values in the documentation."""
    pages = sorted((ROOT / "docs").rglob("*.md"))
    return {f"{page.stem} {number}": fence.body for page in pages
            for number, fence in enumerate(fences_of(page.read_text())) if fence.marks == "helm"}  # fmt: skip


@needs_helm
def test_the_values_in_the_documentation_are_accepted(schemas: Path, tmp_path: Path) -> None:
    assert len(shown()) >= 4
    for name, values in shown().items():
        given, made = tmp_path / f"{name}.values", tmp_path / f"{name}.yaml"
        given.write_text(values)
        made.write_text(helm.template(given))
        for file, text in helm.objects(made.read_text())["ConfigMap"]["data"].items():
            assert parse(file, text.encode(), {}, allow_unset=True).problems == ()
    assert helm.faults(schemas, helm.VERSIONS[-1], tmp_path.glob("*.yaml")) == []


@needs_helm
@each_set
def test_mirrord_accepts_the_manifests(name: str) -> None:
    files = helm.objects(rendered(name))["ConfigMap"]["data"]
    given = yaml.safe_load(VALUES[name].read_text()).get("manifests", {})
    assert set(files) == {"daemon.yaml", *given}
    for file, text in files.items():
        loaded = parse(file, text.encode(), {}, allow_unset=True)
        assert loaded.problems == (), loaded.problems
        assert (loaded.document.daemon is not None) == (file == "daemon.yaml")
        if file in given:
            assert text == given[file] or yaml.safe_load(text) == given[file]


# ── equal to configs/kubernetes ───────────────────────────────────────────────────────────────────
def base(kind: str) -> dict[str, Any]:
    (found,) = [one for file in KUBERNETES.glob("*.yaml") if (one := yaml.safe_load(file.read_text()))["kind"] == kind]
    return dict(found)


@needs_helm
def test_the_pod_equals_that_of_the_kustomize_base() -> None:
    chart, kustomize = helm.objects(rendered("defaults")), base("Deployment")
    assert chart["Deployment"]["spec"]["template"] == kustomize["spec"]["template"]
    assert chart["Deployment"]["spec"]["strategy"] == kustomize["spec"]["strategy"]
    assert chart["Service"]["spec"]["ports"] == base("Service")["spec"]["ports"]
    assert chart["PersistentVolumeClaim"]["spec"] == base("PersistentVolumeClaim")["spec"]
    roots = [yaml.safe_load(text)["daemon"]["file_roots"] for text in
             (chart["ConfigMap"]["data"]["daemon.yaml"], base("ConfigMap")["data"]["mirrord.yaml"])]  # fmt: skip
    assert roots[0] == roots[1]


@needs_helm
def test_the_objects_of_a_release_find_each_other() -> None:
    found = helm.objects(helm.template(VALUES["monitoring"], VALUES["network-policy"], VALUES["ingress"], name="b"))
    template = found["Deployment"]["spec"]["template"]
    selector = {"app.kubernetes.io/name": "mirrord", "app.kubernetes.io/instance": "b"}
    assert template["metadata"]["labels"] == selector
    assert found["Deployment"]["spec"]["selector"]["matchLabels"] == found["Service"]["spec"]["selector"] == selector
    assert found["PodMonitor"]["spec"]["selector"]["matchLabels"] == selector
    assert found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == selector
    assert {one["metadata"]["name"] for one in found.values()} == {"b-mirrord"}
    (path,) = found["Ingress"]["spec"]["rules"][0]["http"]["paths"]
    assert path["backend"]["service"] == {"name": "b-mirrord", "port": {"name": "http"}}
    hosts = {one["name"]: one["value"] for one in template["spec"]["containers"][0]["env"]}["MIRRORD_HOSTS"]
    assert hosts.split(",")[:2] == ["b-mirrord", "b-mirrord.mirrord"]


@needs_helm
def test_the_packed_chart_renders_the_same(tmp_path: Path) -> None:
    done = helm.helm("package", CHART, "--destination", tmp_path)
    assert done.returncode == 0, done.stderr
    (packed,) = tmp_path.glob("*.tgz")
    assert packed.name == f"mirrord-{__version__}.tgz"
    assert helm.template(VALUES["monitoring"], chart=packed) == rendered("monitoring")


# ── what each value does ──────────────────────────────────────────────────────────────────────────
@needs_helm
def test_the_time_to_stop_and_the_settings_follow_the_daemon_block() -> None:
    assert pod("defaults")["terminationGracePeriodSeconds"] == DEFAULTS.shutdown_grace + 15
    assert pod("large")["terminationGracePeriodSeconds"] == 90 + 15
    assert variables("ingress")["MIRRORD_HOSTS"].split(",")[-2:] == ["mirrord.example.org", "mirrord.internal"]
    assert resolve({}, variables("ingress"), {}).listen == "0.0.0.0:8420"


@needs_helm
def test_folders_are_mounted_read_only_unless_they_are_writable() -> None:
    mounts = {one["name"]: one for one in container("folders")["volumeMounts"]}
    assert mounts["folder-reports"] == {"name": "folder-reports", "mountPath": "/srv/reports", "readOnly": True}
    assert mounts["folder-scans"] == {"name": "folder-scans", "mountPath": "/srv/scans/in", "readOnly": False}
    volumes = {one["name"]: one for one in pod("folders")["volumes"]}
    assert volumes["folder-scans"]["nfs"] == {"server": "files.example.org", "path": "/export/scans"}
    assert mounts.keys() == volumes.keys()


@needs_helm
def test_credentials_come_from_a_secret_or_a_role() -> None:
    assert container("minio")["envFrom"] == [{"secretRef": {"name": "minio-credentials"}}]
    assert "envFrom" not in container("aws-irsa")
    account = helm.objects(rendered("aws-irsa"))["ServiceAccount"]
    assert "eks.amazonaws.com/role-arn" in account["metadata"]["annotations"]
    assert pod("aws-irsa")["serviceAccountName"] == account["metadata"]["name"] == "mirrord"
    assert helm.objects(rendered("azure-workload-identity"))["ServiceAccount"]["metadata"]["name"] == "mirrord-sync"
    assert pod("azure-workload-identity")["serviceAccountName"] == "mirrord-sync"
    assert not any("Secret" in helm.objects(rendered(name)) for name in VALUES)


@needs_helm
def test_files_of_secrets_and_of_an_authority_are_where_the_comments_say() -> None:
    mounts = {one["name"]: one["mountPath"] for one in container("monitoring")["volumeMounts"]}
    assert mounts["secret-mirrord-tokens"] == "/run/secrets/mirrord-tokens"
    (volume,) = (one for one in pod("private-ca")["volumes"] if one["name"] == "ca")
    assert volume["configMap"] == {"name": "company-ca", "items": [{"key": "root.pem", "path": "root.pem"}]}
    (volume,) = (one for one in pod("openshift")["volumes"] if one["name"] == "ca")
    assert volume["secret"]["secretName"] == "router-ca"
    assert {"name": "ca", "mountPath": "/run/ca", "readOnly": True} in container("openshift")["volumeMounts"]


@needs_helm
def test_the_image_is_the_one_that_is_named() -> None:
    assert container("defaults")["image"] == f"mirrord:{__version__}"
    image = container("private-ca")["image"]
    assert image.startswith("registry.example.org:5000/mirrord:0.1.0-2@sha256:9f86")
    assert pod("private-ca")["imagePullSecrets"] == [{"name": "registry"}, {"name": "second.registry"}]
    assert container("private-ca")["imagePullPolicy"] == "IfNotPresent"


@needs_helm
def test_an_existing_claim_is_used_and_none_is_made() -> None:
    found = helm.objects(rendered("existing-claim"))
    assert "PersistentVolumeClaim" not in found
    assert {"name": "state", "persistentVolumeClaim": {"claimName": "mirror-journal"}} in pod("existing-claim")[
        "volumes"
    ]
    assert found["Deployment"]["metadata"]["name"] == "mirror"
    assert found["PodDisruptionBudget"]["spec"]["maxUnavailable"] == 1
    claim = helm.objects(rendered("aws-irsa"))["PersistentVolumeClaim"]["spec"]
    assert (claim["storageClassName"], claim["resources"]) == ("gp3", {"requests": {"storage": "2Gi"}})


# ── replicas, and the journal in PostgreSQL ──────────────────────────────────────────────────────
STATE_OF = {"replicas": ("mirrord-postgresql", "url"), "one-postgresql": ("shared", "mirrord-url")}


@needs_helm
@pytest.mark.parametrize("name", STATE_OF)
def test_the_journal_is_in_postgresql_and_no_claim_is_made(name: str) -> None:
    assert "PersistentVolumeClaim" not in helm.objects(rendered(name))
    assert {"name": "state", "emptyDir": {"sizeLimit": "64Mi"}} in pod(name)["volumes"]
    secret, key = STATE_OF[name]
    state = {"name": "MIRRORD_STATE", "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}
    assert state in container(name)["env"]
    job = helm.objects(rendered(name))["Job"]["spec"]["template"]["spec"]
    assert [(one["args"], one["env"]) for one in job["containers"]] == [(["migrate"], [state])]
    assert "MIRRORD_STATE" not in variables("defaults")
    assert "Job" not in helm.objects(rendered("defaults"))


@needs_helm
def test_a_rollout_waits_for_no_ready_pod_because_only_the_leader_is_ready() -> None:
    at_once = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "100%", "maxSurge": 0}}
    specs = {name: helm.objects(rendered(name))["Deployment"]["spec"] for name in (*STATE_OF, "defaults")}
    assert [spec["replicas"] for spec in specs.values()] == [3, 1, 1]
    assert [spec["strategy"] for spec in specs.values()] == [at_once, at_once, {"type": "Recreate"}]
    none = 2**31 - 1  # what Kubernetes takes as no deadline
    assert [spec.get("progressDeadlineSeconds") for spec in specs.values()] == [none, None, None]
    assert container("replicas")["readinessProbe"]["httpGet"]["path"] == "/readyz"
    (endpoint,) = helm.objects(rendered("replicas"))["PodMonitor"]["spec"]["podMetricsEndpoints"]
    keep = {"sourceLabels": ["__meta_kubernetes_pod_ready"], "regex": "true", "action": "keep"}
    assert endpoint["relabelings"] == [keep]


@needs_helm
def test_replicas_are_spread_and_one_pod_is_not() -> None:
    (spread,) = pod("replicas")["topologySpreadConstraints"]
    assert (spread["topologyKey"], spread["whenUnsatisfiable"]) == ("topology.kubernetes.io/zone", "ScheduleAnyway")
    selector = helm.objects(rendered("replicas"))["Deployment"]["spec"]["selector"]
    assert spread["labelSelector"] == selector
    assert "topologySpreadConstraints" not in pod("one-postgresql")


@needs_helm
def test_the_tables_are_migrated_by_the_same_image_before_any_pod_is_replaced() -> None:
    found = helm.objects(rendered("replicas"))
    hook = found["Job"]["metadata"]["annotations"]
    assert hook["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert hook["helm.sh/hook-delete-policy"].split(",")[0] == "before-hook-creation"
    template = found["Job"]["spec"]["template"]
    selector = found["Service"]["spec"]["selector"]
    assert not selector.items() <= template["metadata"]["labels"].items()
    assert template["metadata"]["labels"]["team"] == "data"
    for name in STATE_OF:
        job = helm.objects(rendered(name))["Job"]["spec"]["template"]["spec"]
        (one,) = job["containers"]
        same = ("image", "imagePullPolicy", "securityContext")
        assert [one.get(key) for key in same] == [container(name).get(key) for key in same]
        assert job.get("imagePullSecrets") == pod(name).get("imagePullSecrets")
        assert job["securityContext"] == pod(name)["securityContext"]
    job = template["spec"]
    assert job["volumes"] == [one for one in pod("replicas")["volumes"] if one["name"] == "ca"] != []
    assert job["containers"][0]["volumeMounts"] == [{"name": "ca", "mountPath": "/run/ca", "readOnly": True}]


@needs_helm
def test_the_name_of_the_job_has_at_most_63_characters(tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text(yaml.safe_dump({"fullnameOverride": "a" * 54 + "-" + "b" * 8}))
    found = helm.objects(helm.template(VALUES["one-postgresql"], tmp_path / "values.yaml"))
    assert found["Job"]["metadata"]["name"] == "a" * 54 + "-migrate"


@needs_helm
def test_a_user_that_the_cluster_chooses_is_not_named() -> None:
    assert set(pod("openshift")["securityContext"]) == {"runAsNonRoot", "fsGroupChangePolicy", "seccompProfile"}


@needs_helm
def test_the_pod_is_scraped_once() -> None:
    def annotations(name: str) -> dict[str, str]:
        found: dict[str, str] = helm.objects(rendered(name))["Deployment"]["spec"]["template"]["metadata"][
            "annotations"
        ]
        return found

    assert annotations("defaults")["prometheus.io/scrape"] == "true"
    assert not any(key.startswith("prometheus.io") for key in annotations("monitoring"))
    assert annotations("azure-workload-identity")["prometheus.io/scrape"] == "false"
    (endpoint,) = helm.objects(rendered("monitoring"))["PodMonitor"]["spec"]["podMetricsEndpoints"]
    assert endpoint["authorization"] == {"credentials": {"name": "mirrord-tokens", "key": "read"}}


@needs_helm
def test_the_alerts_are_those_of_the_rules_file() -> None:
    expected = yaml.safe_load((ROOT / "configs" / "prometheus" / "mirrord.rules.yaml").read_text())
    assert helm.objects(rendered("monitoring"))["PrometheusRule"]["spec"] == expected


@needs_helm
def test_a_network_policy_lets_in_what_is_named_and_limits_connections_only_if_asked() -> None:
    policy = helm.objects(rendered("network-policy"))["NetworkPolicy"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert [len(rule.get("to", [])) for rule in policy["egress"]] == [0, 1, 1]
    assert policy["egress"][0]["ports"] == [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]
    assert policy["ingress"][0]["from"][0] == {"podSelector": {}}
    assert len(policy["ingress"][0]["from"]) == 2
    assert helm.objects(rendered("ingress"))["NetworkPolicy"]["spec"]["policyTypes"] == ["Ingress"]


@needs_helm
def test_a_folder_may_be_a_file_root_itself(tmp_path: Path) -> None:
    values = {"folders": [{"name": "a", "mountPath": "/srv", "volume": {"emptyDir": {}}}]}
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(values))
    pod = helm.objects(helm.template(tmp_path / "values.yaml"))["Deployment"]["spec"]["template"]["spec"]
    assert {"name": "folder-a", "mountPath": "/srv", "readOnly": True} in pod["containers"][0]["volumeMounts"]


@needs_helm
@pytest.mark.parametrize(("name", "expected", "absent"), [
    ("defaults", ["Nothing is mirrored yet", "The pod starts once the Secret mirrord exists", "8420:8420"], []),
    ("ingress", ["8420:80\n"], []),
    ("replicas", ["One of the 3 pods leads", "wait --for=jsonpath='{.status.readyReplicas}'=1 deployment/mirrord"],
     ["rollout status deployment"]),
    ("one-postgresql", ["rollout status deployment/mirrord"], ["pods leads"]),
    ("aws-irsa", ["deployment/mirrord\n"], ["Nothing is mirrored yet", "The pod starts once"]),
])  # fmt: skip
def test_the_notes_say_what_is_missing(name: str, expected: list[str], absent: list[str]) -> None:
    done = helm.helm("install", "mirrord", CHART, "--dry-run=client", "--values", VALUES[name])
    assert done.returncode == 0, done.stderr
    notes = done.stdout.partition("NOTES:")[2]
    assert all(text in notes for text in expected), notes
    assert not any(text in notes for text in absent), notes


# ── wrong values ──────────────────────────────────────────────────────────────────────────────────
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "unknown value": ({"replicaCount": 2}, "replicaCount"),
    "replicas without PostgreSQL": (
        {"replicas": 3},
        "3 pods cannot share a journal in SQLite: set postgresql.existingSecret, or replicas to 1",
    ),
    "no replica": ({"replicas": 0}, "/replicas"),
    "PostgreSQL and a claim": (
        {"postgresql": {"existingSecret": "a"}, "persistence": {"existingClaim": "b"}},
        "there is no claim: remove existingClaim",
    ),
    "budget for replicas": (
        {"replicas": 2, "postgresql": {"existingSecret": "a"}, "podDisruptionBudget": {"enabled": True}},
        "only the leader of several replicas is ready.*set enabled to false",
    ),
    "address as a variable": ({"env": [{"name": "MIRRORD_STATE", "value": "a"}]}, "use the value postgresql"),
    "unknown inner value": ({"persistence": {"sise": "2Gi"}}, "sise"),
    "wrong type": ({"service": {"port": "http"}}, "/service/port"),
    "wrong size": ({"daemon": {"memory_limit": "256 megabytes"}}, "memory_limit"),
    "unknown field of daemon": ({"daemon": {"memory": "1GiB"}}, "memory"),
    "listen": ({"daemon": {"listen": "0.0.0.0:80"}}, "the chart sets listen .*: remove it"),
    "state": ({"daemon": {"state": "sqlite:///tmp/a.db"}}, "the chart sets state .*: remove it"),
    "two claims": ({"persistence": {"existingClaim": "a", "storageClass": "gp3"}}, "two claims: .*remove one"),
    "folder outside": (
        {"folders": [{"name": "a", "mountPath": "/data/a", "volume": {"emptyDir": {}}}]},
        r"/data/a is outside of daemon.file_roots \(/srv\): mount it below one of them",
    ),
    "folder beside": (
        {"folders": [{"name": "a", "mountPath": "/srvs/a", "volume": {"emptyDir": {}}}]},
        "outside of daemon.file_roots",
    ),
    "folder above": ({"folders": [{"name": "a", "mountPath": "/srv/..", "volume": {"emptyDir": {}}}]}, "mountPath"),
    "folder without a volume": ({"folders": [{"name": "a", "mountPath": "/srv/a"}]}, "volume"),
    "two kinds of volume": (
        {"folders": [{"name": "a", "mountPath": "/srv/a", "volume": {"emptyDir": {}, "nfs": {}}}]},
        "volume",
    ),
    "unknown kind of volume": (
        {"folders": [{"name": "a", "mountPath": "/srv/a", "volume": {"pvc": {}}}]},
        "/folders/0/volume.*pvc",
    ),
    "two folders of one name": (
        {"folders": [{"name": "a", "mountPath": f"/srv/{one}", "volume": {"emptyDir": {}}} for one in "ab"]},
        "two are called a: rename one",
    ),
    "manifest that is no YAML": ({"manifests": {"a.yaml": "mirrors: [\n"}}, "a.yaml is not YAML"),
    "name that is no manifest": ({"manifests": {"urls.tsv": "url\n"}}, "/manifests.*urls.tsv"),
    "name of the chart's own file": ({"manifests": {"daemon.yaml": "mirrors: {}\n"}}, "another name"),
    "daemon block in a manifest": (
        {"manifests": {"a.yaml": "daemon: {transfers: 4}\n"}},
        "move it to the value `daemon`",
    ),
    "daemon block as YAML": ({"manifests": {"a.yaml": {"daemon": {"transfers": 4}}}}, "move it to the value"),
    "too little memory": (
        {"daemon": {"memory_limit": "400MiB"}},
        r"512Mi is too little for daemon.memory_limit \(400MiB\) and 160 MiB: set it to 560Mi or more",
    ),
    "variable of the chart": ({"env": [{"name": "MIRRORD_LISTEN", "value": ":1"}]}, "use the value service.port"),
    "account that is not made": ({"serviceAccount": {"annotations": {"a": "b"}}}, "set create to true"),
    "ingress without a host": ({"ingress": {"enabled": True}}, "host is required"),
    "two authorities": ({"ca": {"secret": "a", "configMap": "b"}}, "not both"),
    "half a token": ({"podMonitor": {"tokenSecret": {"name": "a"}}}, "needs both name and key"),
    "label of the selector": ({"podLabels": {"app.kubernetes.io/name": "b"}}, "the chart sets the label .*: remove it"),
    "name that no Service has": ({"fullnameOverride": "a.b"}, "cannot be called a.b: set a name"),
    "name that begins with a digit": ({"fullnameOverride": "1a"}, "that begins with a letter"),
    "host with a port": ({"daemon": {"hosts": ["example.org:80"]}}, "/daemon/hosts/0"),
    "two hosts in one": ({"daemon": {"hosts": ["a.example.org,b.example.org"]}}, "/daemon/hosts/0"),
    "tag as a digest": ({"image": {"digest": "sha256:12"}}, "digest"),
}


@needs_helm
@pytest.mark.parametrize(("values", "message"), REFUSED.values(), ids=REFUSED)
def test_wrong_values_are_refused(values: dict[str, Any], message: str, tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(values))
    done = helm.helm("template", "mirrord", CHART, "--values", tmp_path / "values.yaml")
    assert done.returncode == 1
    assert re.search(message, done.stderr), done.stderr


@needs_helm
@pytest.mark.parametrize(
    ("limit", "buffers", "fits"),
    [
        ("416Mi", "256MiB", True),
        ("415Mi", "256MiB", False),
        ("1G", "750MiB", True),
        ("0.5Gi", "0.25GiB", True),
        (436207616, "256MiB", True),
        ("1Gi", "1GB", False),
        ("1Gi", 268435456, True),
    ],
)
def test_memory_is_compared_in_the_units_of_both(
    limit: str | int, buffers: str | int, fits: bool, tmp_path: Path
) -> None:
    values = {"daemon": {"memory_limit": buffers}, "resources": {"limits": {"memory": limit}}}
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(values))
    done = helm.helm("template", "mirrord", CHART, "--values", tmp_path / "values.yaml")
    assert (done.returncode == 0) == fits, done.stderr


# ── without helm ──────────────────────────────────────────────────────────────────────────────────
def test_the_chart_is_this_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == __version__


def test_the_rules_of_the_chart_are_those_of_prometheus() -> None:
    copy, rules = CHART / "files" / "mirrord.rules.yaml", ROOT / "configs" / "prometheus" / "mirrord.rules.yaml"
    assert copy.read_text() == rules.read_text(), f"cp {rules.relative_to(ROOT)} {copy.relative_to(ROOT)}"


def test_the_daemon_block_has_the_fields_of_mirrord() -> None:
    definitions = json_schema()["$defs"]
    daemon = SCHEMA["properties"]["daemon"]["properties"]
    assert set(daemon) == set(definitions["DaemonSection"]["properties"])
    assert daemon["hosts"]["items"]["pattern"] == f"^({HOST_PATTERN})$"


def test_the_schema_has_each_value_and_no_other() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert set(SCHEMA["properties"]) == {*values, "global"}
    for name, schema in SCHEMA["properties"].items():
        if schema.get("additionalProperties") is False and name not in ("daemon", "manifests", "affinity", "resources"):
            assert set(schema["properties"]) == set(values[name]), name


def test_the_constants_of_the_chart_are_those_of_mirrord() -> None:
    checks = (CHART / "templates" / "_checks.tpl").read_text()
    assert f'default "{DEFAULTS.memory_limit // MiB}MiB"' in checks
    assert str(160 * MiB) in checks
    assert f'default "{DEFAULTS.shutdown_grace:g}s"' in (CHART / "templates" / "deployment.yaml").read_text()
