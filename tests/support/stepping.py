"""A `mirrord` process that stops before a step of a file's way out of its folder, until it is killed or let go.

`sitecustomize(place)` is put before everything else that the process imports. The n-th step of a file called
`<n>-….csv` is the one that waits: `stopped/<name>` then says which step it is. Steps are what changes the file system
(as Python's audit events tell, in the thread of that file) and the edges of the journal. `ended/<name>` tells that a
file went its way without a stop.
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
    pool.THREADS = 250  # many files stop at once, each in a thread
    pool.FilePools.__init__.__kwdefaults__["silence"] = 600.0  # and a root that stops is not down
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
    """Where such a process finds its orders, and where it says how far it came."""

    def __init__(self, place: Path, *, across: bool = False) -> None:
        """`across`: no rename leads out of a directory, as if each were a file system."""
        self.place = place
        for directory in ("stopped", "ended"):
            (place / directory).mkdir(parents=True)
        (place / "sitecustomize.py").write_text(SOURCE)
        (place / "stepping").touch()
        if across:
            (place / "across").touch()

    def stopped(self) -> dict[str, str]:
        """The step before which each file stands, by the file's name."""
        return {path.name: path.read_text() for path in (self.place / "stopped").iterdir()}

    def ended(self) -> set[str]:
        return {path.name for path in (self.place / "ended").iterdir()}

    def let_go(self) -> None:
        """Everything goes on."""
        (self.place / "released").touch()

    def end(self) -> None:
        """A process that begins from now on stops nowhere."""
        (self.place / "stepping").unlink()
