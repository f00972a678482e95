"""What Python prints of a fault of mirrord itself, in the real process: no secret of a URL, wherever the fault is."""

import asyncio
import subprocess
import sys
from pathlib import Path

from tests.support.command import environment
from tests.support.daemon import PATIENCE

FAULTY = """
import asyncio, gc, logging, threading, warnings
import mirrord.cli.main
from mirrord.__main__ import main
from mirrord.cli.process.running import run

def fail(where):
    raise ValueError(f"{where}: https://me:s3cretPW@h.example/a?sig=s3cretSIG")

class Held:
    def __del__(self):
        fail("destructor")

async def program():
    task = asyncio.create_task(asyncio.to_thread(fail, "task"))
    await asyncio.wait([task])
    del task
    gc.collect()
    logging.getLogger("library").warning("logged: %s", "https://me:s3cretPW@h.example/a")

def invoke(arguments):
    run(program())
    thread = threading.Thread(target=fail, args=["thread"])
    thread.start()
    thread.join()
    Held()
    warnings.warn("warning: https://me:s3cretPW@h.example/a?sig=s3cretSIG")
    fail("end")

mirrord.cli.main.invoke = invoke
main()
"""


async def test_a_fault_of_mirrord_itself_shows_no_secret(tmp_path: Path) -> None:
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", FAULTY],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1
    for place in ("task", "thread", "destructor", "end"):
        assert f"ValueError: {place}: https://h.example/a?…\n" in done.stderr
    assert "warning: https://h.example/a?…\n" in done.stderr
    assert "logged: https://h.example/a\n" in done.stderr
    assert "s3cret" not in done.stdout + done.stderr
