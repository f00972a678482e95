"""`mirrord doctor` as a command, against real stores."""

import json
from pathlib import Path
from typing import Any

from tests.support.command import mirrord
from tests.support.daemon import store_section
from tests.support.weed import Server

Found = dict[tuple[str, str], dict[str, Any]]


async def doctor(home: Path, file: Path, *more: str, code: int = 0, env: dict[str, str] | None = None) -> Found:
    """The findings by name and subject. `code`: the exit code that is expected."""
    ended = await mirrord("doctor", str(file), "--json", *more, home=home, env=env)
    assert ended.code == code, ended.output
    report = json.loads(ended.out)
    assert report["ok"] is not any(one["verdict"] == "failed" for one in report["findings"])
    return {(one["name"], one["about"]): one for one in report["findings"]}


def verdicts(found: Found, *names: str) -> set[str]:
    return {one["verdict"] for (name, _), one in found.items() if name in names}


async def test_all_is_well_with_a_good_store(weed: Server, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "inbox" / "sub").mkdir(parents=True)
    file = tmp_path / "m.yaml"
    file.write_text(f"{store_section(weed)}folders: [{{path: inbox, to: 's3://{bucket}/', name: drop}}]\n")
    found = await doctor(tmp_path, file)
    assert verdicts(found, "failed", "warning") == set()
    assert found["credentials", "store default"]["message"] == "from the manifest"
    assert found["server", "store default"]["message"].startswith("Server: SeaweedFS")
    assert found["bucket", f"s3://{bucket}"]["verdict"] == "ok"
    assert found["folder", f"drop: {tmp_path}/inbox"]["message"] == "can be read: 2 directories"
    assert weed.secret_access_key not in json.dumps(list(found.values()))
    assert not (tmp_path / "state").exists()


async def test_each_fault_is_named_with_what_to_do(weed: Server, bucket: str, tmp_path: Path) -> None:
    file = tmp_path / "m.yaml"
    file.write_text(
        f"{store_section(weed)}"
        "mirrors:\n"
        "  - {url: 'https://no.such.invalid/a', to: 's3://no-such-bucket/a'}\n"
        f"  - {{url: 'http://127.0.0.1:9/b', to: 's3://{bucket}/b', http: {{proxy: 'http://u:pass@proxy.invalid:3128'}}}}\n"
        f"folders: [{{path: missing, to: 's3://{bucket}/in/', name: drop}}]\n"
    )
    found = await doctor(tmp_path, file, code=1)
    failed = {key for key, one in found.items() if one["verdict"] == "failed"}
    assert failed == {
        ("dns", "no.such.invalid"),
        ("bucket", "s3://no-such-bucket"),
        ("folder", f"drop: {tmp_path}/missing"),
    }
    assert all(found[key]["fix"] for key in failed)
    assert found["proxy", "http://proxy.invalid:3128"]["message"] == "is used for 127.0.0.1"


async def test_an_invalid_manifest_wins(weed: Server, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "good.yaml").write_text(f"{store_section(weed)}mirrors: {{}}\n")
    (tmp_path / "m" / "bad.yaml").write_text("mirors: []\n")
    found = await doctor(tmp_path, tmp_path / "m", code=78)
    assert found["manifest", f"{tmp_path}/m/bad.yaml"]["verdict"] == "failed"
    assert found["manifest", f"{tmp_path}/m/good.yaml"]["verdict"] == "ok"


async def test_the_source_of_the_keys_is_named_and_no_key_is_shown(weed: Server, bucket: str, tmp_path: Path) -> None:
    file = tmp_path / "m.yaml"
    store = f"{{provider: seaweedfs, endpoint_url: '{weed.endpoint_url}'}}"
    file.write_text(f"stores: {{default: {store}}}\nmirrors: {{'http://127.0.0.1:9/a': 's3://{bucket}/a'}}\n")
    env = {"AWS_ACCESS_KEY_ID": weed.access_key_id, "AWS_SECRET_ACCESS_KEY": weed.secret_access_key}
    found = await doctor(tmp_path, file, env=env)
    assert "AWS_ACCESS_KEY_ID" in found["credentials", "store default"]["message"]
    (tmp_path / ".aws").mkdir()
    keys = f"aws_access_key_id={weed.access_key_id}\naws_secret_access_key={weed.secret_access_key}\n"
    (tmp_path / ".aws" / "credentials").write_text(f"[default]\n{keys}")
    found = await doctor(tmp_path, file)
    assert "~/.aws/credentials" in found["credentials", "store default"]["message"]
    assert weed.secret_access_key not in json.dumps(list(found.values()))
    (tmp_path / ".aws" / "credentials").unlink()
    found = await doctor(tmp_path, file, code=1)
    assert found["credentials", "store default"]["verdict"] == "failed"
