"""A sync over doubles of products: each object arrives, the next sync writes nothing, and what leaves is deleted."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support import store_doubles
from tests.support.command import mirrord
from tests.support.proxy import StoreProxy
from tests.support.store_doubles import Quirks
from tests.support.syncing import sync

LARGE = bytes(range(256)) * (48 * 1024)  # 12 MiB: two parts of 5 MiB and a last one
FILES = {
    "small.txt": b"small",
    "large.bin": LARGE,
    "sub/\U0001f600": b"outside the basic plane",
    "sub/\ufb01": b"inside",
}
PARTS = {"multipart_threshold": "5MiB", "part_size": "5MiB"}
DOUBLES: list[tuple[str, Callable[[], Quirks], dict[str, Any]]] = [
    ("ceph", store_doubles.ceph, {"tags": {"a": "b"}}),
    ("minio", store_doubles.minio, {"acl": "public-read", "storage_class": "REDUCED_REDUNDANCY"}),
    ("r2", store_doubles.r2, {}),
    ("storj", store_doubles.storj, {}),
    ("b2", store_doubles.b2, {"acl": "private"}),
    ("gcs", store_doubles.gcs, {"storage_class": "NEARLINE"}),
    ("scaleway", store_doubles.scaleway, {}),
    ("seaweedfs", store_doubles.old_seaweedfs, {}),
    ("generic", store_doubles.unordered, {}),
    ("generic", store_doubles.java, {}),
    ("generic", store_doubles.versitygw, {}),
    (
        "generic",
        store_doubles.forgetful,
        {
            "tags": {"a": "b"},
            "storage_class": "STANDARD_IA",
            "encryption": {"mode": "AES256"},
            "lock": {"mode": "GOVERNANCE", "retain": "1d"},
            "expires": "2030-01-31",
            "cache_control": "no-store",
            "content_language": "de",
        },
    ),
]


def manifest(home: Path, proxy: StoreProxy, provider: str, bucket: str, options: dict[str, Any]) -> Path:
    server = proxy.server
    store = {
        "provider": provider,
        "endpoint_url": server.endpoint_url,
        "credentials": {"access_key_id": server.access_key_id, "secret_access_key": server.secret_access_key},
    }
    folder = {"path": "inbox", "to": f"s3://{bucket}/", "settle": "50ms", "delete": "mirror", "upload": PARTS}
    file = home / "m.yaml"
    # YAML is a superset of JSON
    file.write_text(json.dumps({"stores": {"default": store}, "folders": [folder | {"object": options}]}))
    return file


FORGOTTEN = [
    *("cache_control", "content_language", "no encryption where AES256", "expires", "no lock where GOVERNANCE"),
    *("STANDARD where STANDARD_IA", "drops object.tags"),
]
LEARNED = {
    "forgetful": [f"{words}|(by {kind}" for words in FORGOTTEN for kind in ("multipart", "put")],
    "ceph": ["drops object.tags (by multipart"],
    "old_seaweedfs": ["runs SeaweedFS 4.47: an abort that comes after CompleteMultipartUpload destroys the object"],
    "minio": ["ignores object.acl (by multipart", "ignores object.acl (by put"],
    "gcs": ["STANDARD where NEARLINE was asked (by multipart", "STANDARD where NEARLINE was asked (by put"],
}
"""What the status shows then. The double of GCS drops the storage class."""


@pytest.mark.parametrize(("provider", "double", "options"), DOUBLES, ids=lambda one: getattr(one, "__name__", None))
async def test_a_folder_is_kept_in_sync(
    tmp_path: Path,
    store_proxy: StoreProxy,
    s3_client: Any,
    bucket: str,
    provider: str,
    double: Callable[[], Quirks],
    options: dict[str, Any],
) -> None:
    for name, content in FILES.items():
        (tmp_path / "inbox" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "inbox" / name).write_bytes(content)
    double().install(store_proxy)
    file = manifest(tmp_path, store_proxy, provider, bucket, options)
    done = await sync(tmp_path, file)
    assert done.code == 0, done.output
    for name, content in FILES.items():
        assert s3_client.get_object(Bucket=bucket, Key=name)["Body"].read() == content
    shown = await mirrord("status", "--json", "--config", str(file), home=tmp_path)
    learned = json.loads(shown.out)["learned"]
    for words, text in zip(LEARNED.get(double.__name__, []), learned, strict=True):
        assert all(one in text for one in words.split("|"))
    store_proxy.clear()
    again = await sync(tmp_path, file)
    assert f"{len(FILES)} unchanged" in again.out, again.output
    assert store_proxy.writes == 0
    (tmp_path / "inbox" / "small.txt").unlink()
    gone = await sync(tmp_path, file)
    assert gone.code == 0, gone.output
    listed = {one["Key"] for one in s3_client.list_objects_v2(Bucket=bucket)["Contents"]}
    assert listed == set(FILES) - {"small.txt"}
