"""kill -9 of the real `mirrord restore`, before its copy at the store, after it, and before its record: what follows is
one restored object, or none, and then nothing more is written."""

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import environment, mirrord, start
from tests.support.killing import HeldCalls
from tests.support.origin import Origin
from tests.support.proxy import StoreProxy
from tests.support.syncing import manifest, sync


@pytest.mark.parametrize("answered", [False, True], ids=["before the copy", "after the copy"])
async def test_a_killed_restore_is_done_or_not(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin, answered: bool
) -> None:
    s3_client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    file = manifest(tmp_path, store_proxy.server, f"mirrors:\n  '{origin.publish('/a', b'one')}': s3://{bucket}/a\n")
    assert (await sync(tmp_path, file)).code == 0
    first = s3_client.head_object(Bucket=bucket, Key="a")["VersionId"]
    origin.publish("/a", b"the second")
    assert (await sync(tmp_path, file)).code == 0
    command = ["restore", "a", "--version", first, "--config", str(file)]
    held = HeldCalls("CopyObject", answered=answered)
    held.set_on(store_proxy)
    process = await start(command, environment(tmp_path), cwd=tmp_path)
    assert await held.reached()
    process.kill()
    assert await process.wait() == -signal.SIGKILL
    store_proxy.before = store_proxy.after = None
    held.release()
    await store_proxy.idle()

    def content() -> bytes:
        body: bytes = s3_client.get_object(Bucket=bucket, Key="a")["Body"].read()
        return body

    store_proxy.clear()
    for _ in range(2):
        done = await sync(tmp_path, file)
        assert done.code == 0, done.output
    assert content() == (b"one" if answered else b"the second")
    assert store_proxy.writes == 0
    again = await mirrord(*command, home=tmp_path)
    assert again.code == 0, again.output
    assert (content(), store_proxy.writes) == (b"one", 0 if answered else 1)
    assert (await mirrord("plan", "--exit-code", str(file), home=tmp_path)).code == 0
