"""`daemon.file_roots` with the real commands: files, a link, a list and a folder, inside and outside of the roots."""

from pathlib import Path
from typing import Any

from tests.support.command import mirrord
from tests.support.syncing import manifest, sync
from tests.support.weed import Server


async def test_only_what_is_below_a_root_is_uploaded(tmp_path: Path, weed: Server, bucket: str, s3_client: Any) -> None:
    for name in ("srv/in", "out"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "f").write_bytes(b"x")
    (tmp_path / "srv" / "link").symlink_to(tmp_path / "out")
    (tmp_path / "out" / "list.txt").write_text("https://127.0.0.1:1/never\n")
    file = manifest(
        tmp_path,
        weed,
        f"daemon: {{file_roots: ['{tmp_path}/srv']}}\n"
        "mirrors:\n"
        f"  - {{url: 'file://{tmp_path}/srv/in/f', to: 's3://{bucket}/below'}}\n"
        f"  - {{url: 'file://{tmp_path}/srv/link/f', to: 's3://{bucket}/linked'}}\n"
        f"  - {{list: '{tmp_path}/out/list.txt', to: 's3://{bucket}/listed/'}}\n"
        "folders:\n"
        f"  - {{path: '{tmp_path}/srv/in', to: 's3://{bucket}/in/', settle: 0s}}\n"
        f"  - {{path: '{tmp_path}/out', to: 's3://{bucket}/out/', settle: 0s}}\n",
    )
    planned = await mirrord("plan", str(file), home=tmp_path)
    done = await sync(tmp_path, file)
    assert done.code == 1, done.output
    stored = s3_client.list_objects_v2(Bucket=bucket).get("Contents", [])
    assert sorted(one["Key"] for one in stored) == ["below", "in/f"]
    for output in (planned.output, done.output):
        for path in ("srv/link/f: it leads to", "out/list.txt: it is outside", f"{tmp_path}/out"):
            assert path in output
        assert output.count("daemon.file_roots: move it below one of them") >= 3

    copied = await mirrord("copy", f"{tmp_path}/out/f", f"s3://{bucket}/copied", "--config", str(file), home=tmp_path)
    assert copied.code == 0, copied.output
