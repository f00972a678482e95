"""`mirrord run` from its start to its end, as systemd, Kubernetes and people start, stop and kill it."""

from pathlib import Path
from typing import Any

from tests.support.daemon import running, store_section
from tests.support.origin import Origin
from tests.support.weed import Server


async def test_it_syncs_and_stops(tmp_path: Path, weed: Server, bucket: str, s3_client: Any, origin: Origin) -> None:
    file = tmp_path / "m.yaml"
    file.write_text(store_section(weed) + f"mirrors:\n  {origin.publish('/a', b'a')}: s3://{bucket}/a\n")
    async with running(tmp_path, str(file)) as daemon:
        await daemon.synced("a")
        assert await daemon.stop() == 0
    assert daemon.logged("daemon.stopped")
