"""Tutorial and how-tos: commands that need neither a cloud nor a cluster run as printed in an empty directory; objects
of Kubernetes and policies are read. test_readme.py checks each manifest and each link."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.command import mirrord
from tests.support.fences import fences_of, run_page
from tests.support.weed import Server

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [DOCS / "install.md", DOCS / "tutorial.md", *sorted((DOCS / "how-to").glob("*.md"))]
TESTED = {page.stem: page.read_text() for page in PAGES if "```console tested" in page.read_text()}


@pytest.mark.parametrize("text", TESTED.values(), ids=TESTED)
async def test_the_commands_run_as_printed(text: str, tmp_path: Path) -> None:
    await run_page(text, tmp_path)


async def test_minio_can_be_left(tmp_path: Path, rclone_serve: Server, weed: Server, s3_client: Any) -> None:
    """`leave.yaml` as printed, with a store of basic calls in the place of MinIO."""
    page = (DOCS / "how-to" / "stores.md").read_text()
    (manifest,) = (fence.body for fence in fences_of(page) if fence.marks == "file=leave.yaml")
    (tmp_path / "leave.yaml").write_text(manifest)
    old = rclone_serve.client()
    old.create_bucket(Bucket="datasets")
    for number in range(3):
        old.put_object(Bucket="datasets", Key=f"d/{number}", Body=b"%d" % number)
    env = {
        "MINIO_SERVER_URL": rclone_serve.endpoint_url,
        "MINIO_ROOT_USER": rclone_serve.access_key_id,
        "MINIO_ROOT_PASSWORD": rclone_serve.secret_access_key,
        "NEW_STORE": weed.endpoint_url,
        "NEW_KEY": weed.access_key_id,
        "NEW_SECRET": weed.secret_access_key,
    }
    first = await mirrord("sync", "leave.yaml", home=tmp_path, env=env)
    assert "3 copied" in first.out, first.output
    again = await mirrord("sync", "leave.yaml", home=tmp_path, env=env)
    assert "0 copied" in again.out, again.output
    copied = s3_client.list_objects_v2(Bucket="datasets")["Contents"]
    assert [one["Key"] for one in copied] == ["d/0", "d/1", "d/2"]
    for one in copied:
        s3_client.delete_object(Bucket="datasets", Key=one["Key"])
    s3_client.delete_bucket(Bucket="datasets")


def _bodies(language: str, marks: str = "") -> list[str]:
    fences = (fence for page in PAGES for fence in fences_of(page.read_text()))
    return [fence.body for fence in fences if (fence.language, fence.marks) == (language, marks)]


def test_each_object_of_kubernetes_is_whole() -> None:
    objects = [one for body in _bodies("yaml", "kubernetes") for one in yaml.safe_load_all(body)]
    assert objects
    for one in objects:
        assert {"apiVersion", "kind", "metadata"} <= one.keys()
        assert one["metadata"]["name"]


def test_each_policy_is_whole() -> None:
    policies = [json.loads(body) for body in _bodies("json")]
    assert policies
    for policy in policies:
        assert policy["Version"] == "2012-10-17"
        for statement in policy["Statement"]:
            assert statement["Effect"] == "Allow"
            assert {"Action", "Resource"} <= statement.keys() or "Principal" in statement


def test_each_console_fence_is_tested_or_says_what_it_needs() -> None:
    untested = {page.name for page in PAGES for fence in fences_of(page.read_text())
                if fence.language == "console" and fence.marks != "tested"}  # fmt: skip
    assert untested == set(), "mark it as tested, or write it as sh if it needs a cloud, a cluster or root"
