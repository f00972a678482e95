"""A low limit of open files: a store has fewer connections, and the log says what it needs."""

from pathlib import Path
from typing import Any

from tests.support.command import mirrord
from tests.support.preloaded import REPOSITORY
from tests.support.syncing import manifest
from tests.support.weed import Server

LIMIT = 64
FILES = 200


async def test_a_low_limit_of_open_files_fails_no_transfer(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any
) -> None:
    (tmp_path / "inbox").mkdir()
    for number in range(FILES):
        (tmp_path / "inbox" / str(number)).write_bytes(b"content")
    folder = f"folders: [{{path: inbox, to: 's3://{bucket}/', settle: 0s}}]\n"
    file = manifest(tmp_path, weed, f"daemon: {{transfers: 64}}\n{folder}")
    (tmp_path / "patch").mkdir()
    limits = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({LIMIT}, {LIMIT}))"
    (tmp_path / "patch" / "sitecustomize.py").write_text(limits)
    path = f"{tmp_path / 'patch'}:{REPOSITORY}"
    done = await mirrord("sync", str(file), home=tmp_path, env={"PYTHONPATH": path})
    assert done.code == 0, done.output
    assert s3_client.list_objects_v2(Bucket=bucket)["KeyCount"] == FILES
    assert f"the limit of open files (ulimit -n) is {LIMIT}; from 256 on it has 64" in done.err
