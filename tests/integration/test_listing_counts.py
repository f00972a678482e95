"""Calls of `sync` to the store, counted at a proxy: listings instead of HEADs."""

from collections import Counter
from pathlib import Path
from typing import Any

from tests.support.command import mirrord
from tests.support.origin import Origin
from tests.support.proxy import StoreProxy
from tests.support.syncing import manifest, sync

FILES = 1_050
CALLS = ("PutObject", "HeadObject", "ListObjectsV2", "DeleteObject")


class Passes:
    """Passes of `sync` over one manifest, with the calls of the last one."""

    def __init__(self, home: Path, proxy: StoreProxy, body: str) -> None:
        self.home, self.proxy = home, proxy
        self.file = manifest(home, proxy.server, body)

    async def sync(self, *flags: str) -> Any:
        self.proxy.clear()
        done = await sync(self.home, self.file, *flags)
        assert done.code == 0, done.output
        return done

    @property
    def calls(self) -> Counter[str]:
        return Counter({name: count for name, count in self.proxy.counts.items() if name in CALLS})


async def test_a_folder(tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any) -> None:
    root = tmp_path / "inbox" / "deep"
    root.mkdir(parents=True)
    for number in range(FILES):
        (root / f"{number:04}").write_text(f"file {number}")
    (root / "with space+plus").write_text("x")
    body = f"folders:\n  - {{path: inbox, to: 's3://{bucket}/in/', settle: 0s}}\n"
    passes = Passes(tmp_path, store_proxy, body)
    await passes.sync()
    assert passes.calls["PutObject"] == FILES + 1
    assert passes.calls["ListObjectsV2"] == 1
    assert passes.calls["HeadObject"] <= 10

    planned = await mirrord("plan", str(passes.file), "--exit-code", home=tmp_path)
    assert planned.code == 0, planned.output
    await passes.sync()
    assert passes.calls["PutObject"] == 0
    assert passes.calls["ListObjectsV2"] == 2
    assert passes.calls["HeadObject"] <= 10

    s3_client.delete_object(Bucket=bucket, Key="in/deep/0007")
    s3_client.put_object(Bucket=bucket, Key="in/deep/0008", Body=b"of another program")
    (root / "0009").write_text("changed")
    (root / "new").write_text("new")
    done = await passes.sync()
    assert "4 copied" in done.out, done.output
    assert (passes.calls["PutObject"], passes.calls["ListObjectsV2"]) == (4, 2)
    assert passes.calls["HeadObject"] <= 10
    assert s3_client.get_object(Bucket=bucket, Key="in/deep/0008")["Body"].read() == b"file 8"


async def test_mirrors(tmp_path: Path, store_proxy: StoreProxy, bucket: str, origin: Origin) -> None:
    names = [f"{number:03}" for number in range(60)]
    for name in names:
        origin.publish(f"/{name}", name.encode())
    body = (
        f"mirrors:\n  - url: '{origin.url('/{n}')}'\n    to: 's3://{bucket}/in/{{n}}'\n"
        f"    name: many\n    matrix: {{n: [{', '.join(repr(name) for name in names)}]}}\n"
    )
    passes = Passes(tmp_path, store_proxy, body)
    await passes.sync()
    assert (passes.calls["PutObject"], passes.calls["ListObjectsV2"]) == (60, 1)
    assert passes.calls["HeadObject"] <= 10
    await passes.sync()
    assert (passes.calls["PutObject"], passes.calls["ListObjectsV2"]) == (0, 1)
    assert passes.calls["HeadObject"] <= 10
    await passes.sync("--only", "in/00*")  # ten items: HEADs are cheaper
    assert (passes.calls["HeadObject"], passes.calls["ListObjectsV2"]) == (10, 0)
