"""What `doctor --store` measured, in a file of the state directory, by the endpoint of the store.

Owns the file: only its owner reads it, it is replaced as a whole, and it is no part of the journal, so that `doctor`
can write it while a daemon runs, which then uses it. `providers.measured` uses the values.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from logging import getLogger
from math import inf
from pathlib import Path

from mirrord.journal.private import private_directory
from mirrord.providers.facts import FactValue
from mirrord.providers.measured import KEPT_FOR, MeasuredFacts
from mirrord.s3.file_stats import FileStats, file_stats
from mirrord.settings import MEASURED

_log = getLogger(__name__)

_VERSION = 1


def keep_measured(directory: Path, endpoint: str, measured: MeasuredFacts) -> None:
    """Replace what was measured at this endpoint, and forget what is too old. It is on the disk when this returns.

    Runs for several stores at a time lose nothing of each other. Raises JournalUnavailable, OSError."""
    private_directory(directory)
    with _only_writer(directory) as opened:
        _replace(directory, {**measured_stores(directory, measured.when), endpoint: measured})
        os.fsync(opened)


@contextmanager
def _only_writer(directory: Path) -> Iterator[int]:
    """The directory's descriptor, locked: the kernel releases it when the process ends. The journal's lock is that of
    a file in the directory, and a daemon has it."""
    opened = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield opened
    finally:
        os.close(opened)


def _replace(directory: Path, stores: Mapping[str, MeasuredFacts]) -> None:
    shown = {name: {"server": one.server, "when": one.when, "values": dict(one.values)} for name, one in stores.items()}
    new = directory / f"{MEASURED}.new"  # left by a killed process: overwritten
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump({"version": _VERSION, "stores": shown}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    new.replace(directory / MEASURED)


class MeasuredStores:
    """What counts now, as a process follows it: `changed` reads the file, `at` does not."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._seen: FileStats = {}
        self._until = 0.0
        self._facts: Mapping[str, MeasuredFacts] = {}

    def changed(self, now: float) -> bool:
        """Whether another content counts than at the last call: the file was replaced, or a measurement is too old."""
        seen = file_stats((self._directory / MEASURED,))
        if seen == self._seen and now < self._until:
            return False
        self._seen, self._facts = seen, measured_stores(self._directory, now)
        self._until = min((one.when + KEPT_FOR for one in self._facts.values()), default=inf)
        return True

    def at(self, endpoint: str) -> MeasuredFacts | None:
        """What was measured there; None: nothing."""
        return self._facts.get(endpoint)


def measured_stores(directory: Path, now: float) -> Mapping[str, MeasuredFacts]:
    """What was measured in the last 30 days, by endpoint. A file that cannot be read counts as none."""
    try:
        content = json.loads((directory / MEASURED).read_text())
        stores = content["stores"] if content["version"] == _VERSION else {}
        found = {name: _facts(one) for name, one in stores.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        _log.warning("%s cannot be read, so that nothing counts as measured: %s", directory / MEASURED, error)
        return {}
    return {name: one for name, one in found.items() if 0 <= now - one.when < KEPT_FOR}


def _facts(one: Mapping[str, object]) -> MeasuredFacts:
    values = one["values"]
    if not isinstance(values, dict):
        raise TypeError("values")
    return MeasuredFacts(str(one["server"]), float(str(one["when"])), tuple((n, _value(v)) for n, v in values.items()))


def _value(value: object) -> FactValue:
    if isinstance(value, list):
        return tuple(map(str, value))
    if isinstance(value, bool | int | str):
        return value
    raise TypeError("value")
