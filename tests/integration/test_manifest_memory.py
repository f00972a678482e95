"""The memory of the real daemon with a manifest of very many mirrors, and the size of its metrics.

With MIRRORD_SOAK=1 (`make soak`) each mirror has metadata of its own, which takes twice the time to read.
"""

from pathlib import Path

import pytest

from mirrord.units import MiB
from tests.support.command import peak_memory
from tests.support.daemon import started
from tests.support.measuring import SOAK

MIRRORS = 60_000 if SOAK else 20_000
BOUND = 256 * MiB + 160 * MiB if SOAK else 180 * MiB
OPTION = "object: {{metadata: {{id: 'n{0:06d}', team: data}}}}" if SOAK else "every: 6h"
PATIENCE = 240.0
STORE = "stores: {default: {provider: seaweedfs, endpoint_url: 'http://127.0.0.1:1', credentials: {anonymous: true}}}\n"


def write(file: Path, *, more: int = 0) -> None:
    """Write a manifest of this many mirrors with an option each; the origin does not answer."""
    entry = (
        "  - {{url: 'http://127.0.0.1:1/data/set/{0:06d}.bin', to: 's3://bucket/data/{0:06d}.bin', " + OPTION + "}}\n"
    )
    with file.open("w") as stream:
        stream.write(f"{STORE}mirrors:\n")
        stream.writelines(entry.format(number) for number in range(MIRRORS + more))


@pytest.mark.timeout(600)
async def test_very_many_mirrors_are_loaded_within_the_bound_and_one_line_of_them_edited(tmp_path: Path) -> None:
    """During an edit the old manifest is still in force: both are in memory."""
    file = tmp_path / "m.yaml"
    write(file)
    async with started(tmp_path, str(file), fresh=True) as daemon:
        daemon.url = (await daemon.log("daemon.ready", seconds=PATIENCE))["url"]
        loaded = peak_memory(daemon.process.pid) or 0
        mark = daemon.mark
        write(file, more=1)
        await daemon.log("manifest.loaded", since=mark, seconds=PATIENCE)
        shown = await daemon.metrics()
        peak = peak_memory(daemon.process.pid) or 0
        print(f"VmHWM {loaded / MiB:.0f} MiB once loaded, {peak / MiB:.0f} MiB after an edit, of {BOUND / MiB:.0f}")
        assert 0 < loaded <= peak < BOUND
        assert len(shown) < 1_000, "the size of metrics must not grow with the number of items"
        await daemon.kill()
