"""The report of `sync --report FILE`: one JSON document with each item of the pass, written while the pass runs.

Owns the form of the document (docs/commands.md describes it) and when the file changes: it is replaced as a whole at
the end, also after an error or an interruption. In memory are only the items whose records are still to be read. A disk
that is full does not stop the pass: `problem` says why there is no report.
"""

import json
import os
import stat
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self, TextIO

from mirrord._version import __version__
from mirrord.model import Checksum, Item, Outcome, Record, Revision, State
from mirrord.ports import JournalQueries
from mirrord.programs.report import Report
from mirrord.web.as_json import as_json

VERSION = 1
"""Of the document: a field that is added does not change it."""
STDOUT = "-"
_BATCH = 256
_ACTIONS = {State.SYNCED: "unchanged", State.RETRYING: "failed"}


def open_report(path: str, now: float) -> "ReportFile":
    """Begin a report at `now`. `-` is standard output; a pipe or device is written directly. Raises OSError."""
    if path == STDOUT:
        return ReportFile(sys.stdout).begin(now)
    target = os.path.realpath(path)
    if os.path.exists(target) and not stat.S_ISREG(os.stat(target).st_mode):
        return ReportFile(open(target, "w", encoding="utf-8")).begin(now)
    directory, name = os.path.split(target)
    part = os.path.join(directory, f".{name}.{os.getpid()}.tmp")
    if os.path.exists(target) and not os.access(target, os.W_OK):
        raise PermissionError(f"{path}: it may not be written")
    return ReportFile(open(part, "w", encoding="utf-8"), part, target).begin(now)


@dataclass(slots=True)
class ReportFile:
    """`add` each item, `end` in any case. `part` becomes `target` at the end; empty: `out` is the target."""

    out: TextIO
    part: str = ""
    target: str = ""
    problem: str = field(default="", init=False)
    """Why there is no report; empty: there is one."""
    _later: list[tuple[str, Item | None, Outcome]] = field(default_factory=list, init=False)
    """Items, by id, whose checksums are in the journal only."""
    _any: bool = field(default=False, init=False)

    def begin(self, now: float) -> Self:
        """Write what comes before the items."""
        head = {"version": VERSION, "mirrord": __version__, "started": round(now, 3)}
        self._write(f'{json.dumps(head)[:-1]}, "items": [')
        return self

    def add(self, item: Item, outcome: Outcome) -> None:
        """One item of the pass, with its last outcome."""
        if outcome.copied is not None:
            self._line(_of_item(item, outcome.copied.revision), outcome, outcome.copied.checksum, outcome.copied.size)
        else:
            self._later.append((item.id, item, outcome))

    def add_unchanged(self, item_ids: Iterable[str]) -> None:
        """Files of folders that are as recorded."""
        self._later += ((item_id, None, Outcome(state=State.SYNCED)) for item_id in item_ids)

    async def flush(self, journal: JournalQueries) -> None:
        """Write the items so far, if there are many. Raises JournalError."""
        while len(self._later) >= _BATCH:
            await self._flush(journal)

    async def flush_all(self, journal: JournalQueries) -> None:
        """Write the items so far. Raises JournalError."""
        while self._later:
            await self._flush(journal)

    def end(self, report: Report, error: str = "") -> None:
        """Write the rest, and replace the file. `error`: why the pass did not come to its end."""
        self._write_later(self._later, {})
        rest = {
            "complete": not error,
            "error": error or None,
            "copied": report.copied,
            "rewritten": report.rewritten,
            "bytes": report.bytes,
            "unchanged": report.unchanged,
            "deleted": report.deleted,
            "states": report.states,
            "incomplete": report.incomplete,
            "problems": report.problems,
            "duration": round(report.duration, 3),
        }
        self._write(f"\n], {json.dumps(as_json(rest))[1:]}\n")
        self._close()

    async def _flush(self, journal: JournalQueries) -> None:
        some, self._later = self._later[:_BATCH], self._later[_BATCH:]
        self._write_later(some, await journal.recorded([item_id for item_id, _, _ in some]))

    def _write_later(self, some: Iterable[tuple[str, Item | None, Outcome]], records: Mapping[str, Record]) -> None:
        for item_id, item, outcome in some:
            record = records.get(item_id)
            known = record.object if record is not None else None
            revision = record.revision if record is not None else None
            shown = _of_item(item, revision) if item is not None else _of_record(item_id, record)
            self._line(shown, outcome, known.checksum if known else None, known.size if known else None)

    def _line(self, item: Mapping[str, object], outcome: Outcome, checksum: Checksum | None, size: int | None) -> None:
        copied, reused = outcome.copied, outcome.copied is not None and outcome.copied.reused
        shown = {
            **item,
            "action": _action(outcome),
            "state": outcome.state,
            "reason": outcome.reason,
            "message": outcome.message,
            "bytes": copied.size if copied is not None and not reused else 0,
            "size": None if outcome.pruned else size,
            "checksum": None if checksum is None else f"{checksum.kind.value}:{checksum.value}",
            "integrity": copied.integrity if copied is not None else None,
        }
        self._write(("," if self._any else "") + "\n" + json.dumps(as_json(shown)))
        self._any = True

    def _write(self, text: str) -> None:
        if not self.problem:
            try:
                self.out.write(text)
            except OSError as error:
                self.problem = f"the report could not be written: {error.strerror or error}"

    def _close(self) -> None:
        try:
            self.out.flush()
            if self.part:
                os.fsync(self.out.fileno())
            if self.out is not sys.stdout:
                self.out.close()
            if self.part and not self.problem:
                os.replace(self.part, self.target)
        except OSError as error:
            self.problem = self.problem or f"the report could not be written: {error.strerror or error}"
        if self.problem and self.part:
            with suppress(OSError):
                os.unlink(self.part)


def _action(outcome: Outcome) -> str:
    if outcome.rewritten:
        return "rewritten"
    if outcome.copied is not None:
        return "copied"
    if outcome.pruned:
        return "deleted"
    return "adopted" if outcome.adopted else _ACTIONS.get(outcome.state) or outcome.state.value.lower()


def _of_item(item: Item, revision: Revision | None) -> dict[str, object]:
    at = item.destination
    return {
        "id": item.id,
        "entry": item.entry,
        "source": item.shown_source_of(revision),
        "store": at.store,
        "destination": str(at),
    }


def _of_record(item_id: str, record: Record | None) -> dict[str, object]:
    if record is None:
        return {"id": item_id}
    at = record.destination
    return {
        "id": item_id,
        "entry": record.entry,
        "source": record.source,
        "store": at.store,
        "destination": str(at),
    }
