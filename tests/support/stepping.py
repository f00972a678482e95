"""A `mirrord` process that stops before a step of a file's after-upload action, until it is killed or released.

The process imports the `sitecustomize` of `directory` first. For a file called `<n>-….csv` it stops before step n and
writes the name of this step to `stopped/<name>`. Steps are all changes of the file system (from Python's audit events,
in the thread of that file), and the points before and after each write to the journal. `ended/<name>` means that the
action for this file ended without a stop.
"""

from pathlib import Path

SOURCE = """
import asyncio, errno, os, sys, threading, time
from pathlib import Path

PLACE = Path(__file__).parent
STEPPING = (PLACE / "stepping").exists()
ACROSS = (PLACE / "across").exists()
EVENTS = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link"}

from mirrord.journal.sqlite.journal import SqliteJournal
from mirrord.sources import pool
from mirrord.sources.folder import quarantine, renames

here, taken = threading.local(), {}

def stops(name, step):
    taken[name] = taken.get(name, 0) + 1
    if not name[:2].isdigit() or taken[name] != int(name[:2]):
        return False
    (PLACE / "stopped" / name).write_text(step)
    return True

def released():
    return (PLACE / "released").exists()

def hook(event, arguments):
    name = getattr(here, "name", "")
    creates = event == "open" and arguments[2] & os.O_CREAT and "mirrord-copy" in str(arguments[0])
    if not name or not (event in EVENTS or creates):
        return
    here.name = ""
    if stops(name, f"{event}{arguments}"):
        while not released():
            time.sleep(0.01)
    here.name = name

def named(function):
    def called(root, name, *given):
        here.name = name.rpartition("/")[2]
        try:
            return function(root, name, *given)
        finally:
            here.name = ""
    return called

def journaled(function, of):
    async def called(self, *given):
        record = of(*given)
        name = record.source.rpartition("/")[2]
        for moment in ("before", "after"):
            if moment == "after":
                await function(self, *given)
            if stops(name, f"{moment} {function.__name__}"):
                while not released():
                    await asyncio.sleep(0.01)
        if record.condition.message.startswith("uploaded, then"):
            (PLACE / "ended" / name).touch()
    return called

if STEPPING:
    pool.THREADS = 250  # many files stop at the same time, each in a thread
    pool.FilePools.__init__.__kwdefaults__["silence"] = 600.0  # a root whose threads are stopped must not count as down
    sys.addaudithook(hook)
    quarantine._removed, quarantine._resumed = named(quarantine._removed), named(quarantine._resumed)
    SqliteJournal.finish = journaled(SqliteJournal.finish, lambda _id, record: record)
    SqliteJournal.save = journaled(SqliteJournal.save, lambda record: record)

if ACROSS:
    plain_rename = renames.rename

    def rename(old, new, old_place, new_place):
        if old_place != new_place:
            raise OSError(errno.EXDEV, "another file system")
        plain_rename(old, new, old_place, new_place)

    renames.rename = rename
"""


class Stepping:
    """The directory through which a test controls such a process and reads its steps."""

    def __init__(self, directory: Path, *, across: bool = False) -> None:
        """`across`: renames between directories fail with EXDEV, as if each were a separate file system."""
        self.directory = directory
        for name in ("stopped", "ended"):
            (directory / name).mkdir(parents=True)
        (directory / "sitecustomize.py").write_text(SOURCE)
        (directory / "stepping").touch()
        if across:
            (directory / "across").touch()

    def stopped(self) -> dict[str, str]:
        """The step before which each file is stopped, by the file's name."""
        return {path.name: path.read_text() for path in (self.directory / "stopped").iterdir()}

    def ended(self) -> set[str]:
        return {path.name for path in (self.directory / "ended").iterdir()}

    def release(self) -> None:
        """Continue all stopped files."""
        (self.directory / "released").touch()

    def end(self) -> None:
        """Processes that start from now on do not stop."""
        (self.directory / "stepping").unlink()
