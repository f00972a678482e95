"""`history` and `restore`, by the real command at a store with versions."""

import json
from pathlib import Path
from typing import Any

from tests.support.command import mirrord
from tests.support.origin import Origin
from tests.support.syncing import manifest, sync
from tests.support.weed import Server


async def test_an_older_version_is_shown_restored_and_kept(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any, origin: Origin
) -> None:
    s3_client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    file = manifest(tmp_path, weed, f"mirrors:\n  '{origin.publish('/a', b'one')}?sig=SECRET': s3://{bucket}/a\n")
    assert (await sync(tmp_path, file)).code == 0
    origin.publish("/a", b"the second")
    assert (await sync(tmp_path, file)).code == 0
    s3_client.put_object(Bucket=bucket, Key="ab", Body=b"another key")

    shown = await mirrord("history", f"s3://{bucket}/a", "--json", "--config", str(file), home=tmp_path)
    assert shown.code == 0, shown.output
    assert "SECRET" not in shown.out
    entries = json.loads(shown.out)["entries"]
    assert [(one["outcome"], one["size"]) for one in entries] == [("current", 10), ("replaced", 3)]
    version = entries[1]["version_id"]
    asked = ("restore", "a", "--version", version, "--config", str(file))
    done = await mirrord(*asked, home=tmp_path)
    assert done.code == 0, done.output
    assert s3_client.get_object(Bucket=bucket, Key="a")["Body"].read() == b"one"
    assert (await mirrord("plan", "--exit-code", str(file), home=tmp_path)).code == 0
    assert (await sync(tmp_path, file)).code == 0
    assert s3_client.get_object(Bucket=bucket, Key="a")["Body"].read() == b"one"
    text = await mirrord("history", "a", "--config", str(file), home=tmp_path)
    assert f"restored from version {version}" in text.out

    refused = await mirrord("restore", "a", "--version", "nope", "--config", str(file), home=tmp_path)
    assert (refused.code, "has no version nope" in refused.err) == (1, True)
    origin.publish("/a", b"the third one")
    assert (await sync(tmp_path, file)).code == 0
    assert s3_client.get_object(Bucket=bucket, Key="a")["Body"].read() == b"the third one"
