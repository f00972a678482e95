"""Formats a plan: a line for each change and each item that would stay out of sync, then a summary; or as JSON."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import chain

from mirrord.model import Item, MoveFile, State, shown_origin
from mirrord.programs.plan import (
    NewBucket,
    Plan,
    PlannedAdoption,
    PlannedCopy,
    PlannedDeletion,
    PlannedFileRemoval,
    PlannedRewrites,
)
from mirrord.programs.report import Left
from mirrord.units import format_duration, format_size
from mirrord.web.as_json import as_json

_SIGNS = {State.BLOCKED: "!", State.RETRYING: "!"}


def lines(found: Plan) -> Iterator[str]:
    """`~` is a rewrite by the store, `+` another write, `-` a deletion or a move of a file, `=` an adoption, `!` a
    problem, `.` a waiting or suspended item.

    Other unchanged items are only counted.
    """
    totals = _Totals()
    yield from map(_rewrites, found.rewrites)
    yield from map(_bucket, found.buckets)
    for copy in found.copies:
        totals.add(copy)
        yield _copy(copy)
    yield from map(_adoption, found.adoptions)
    yield from map(_removal, found.removals)
    yield from map(_leaving, found.leaving)
    for left in found.left:
        totals.states[left.outcome.state] += 1
        yield _left(left)
    totals.states.update({State.BLOCKED: found.guarded} if found.guarded else ())
    yield from (f"! differs {difference}" for difference in found.differences)
    yield from (f"! incomplete {folder}" for folder in found.incomplete)
    yield from (f"! invalid {problem}" for problem in found.problems)
    yield _summary(found, totals)


@dataclass(slots=True)
class _Totals:
    """Counted while the rows of a plan are shown: to read a million again would take 20 s."""

    rewrites: int = 0
    known: int = 0
    """Bytes to send."""
    unknown: int = 0
    read: int = 0
    """Bytes to read back."""
    states: Counter[State] = field(default_factory=Counter)

    def add(self, copy: PlannedCopy) -> None:
        self.rewrites += _is_rewrite(copy)
        if copy.original is None:
            self.known += copy.size or 0
            self.unknown += copy.size is None
        if copy.readback:
            self.read += copy.size or 0


def _summary(found: Plan, totals: _Totals) -> str:
    """`2 to copy (1.0 GiB), 1 bucket to create, 30 unchanged, 1 Blocked; looked at in 2s`."""
    size = format_size(totals.known) + (f" and {totals.unknown} of unknown size" if totals.unknown else "")
    parts = [f"{len(found.copies) - totals.rewrites} to copy ({size})"]
    if totals.rewrites:
        parts.append(f"{totals.rewrites} to rewrite")
    if totals.read:
        parts.append(f"{format_size(totals.read)} to read back")
    if found.buckets:
        parts.append(f"{len(found.buckets)} bucket{'s' if len(found.buckets) > 1 else ''} to create")
    if found.removals:
        parts.append(f"{len(found.removals)} to delete")
    if found.leaving:
        parts.append(f"{len(found.leaving)} file{'s' if len(found.leaving) > 1 else ''} to take away")
    parts.append(f"{found.unchanged} unchanged" + (f" ({found.adopted} new to the journal)" if found.adopted else ""))
    parts += [f"{count} {state.value}" for state, count in sorted(totals.states.items())]
    return f"{', '.join(parts)}; looked at in {format_duration(found.duration)}"


def _bucket(new: NewBucket) -> str:
    return f"+ create bucket s3://{new.bucket}  (declared by store {new.store}, does not exist)"


def _is_rewrite(copy: PlannedCopy) -> bool:
    """Whether the store copies the object to itself."""
    return copy.original == copy.item.destination


def _rewrites(many: PlannedRewrites) -> str:
    options = f" ({', '.join(many.options)})" if many.options else ""
    return (
        f"~ {many.entry}: {many.rewrites:,} of {many.objects:,} objects would be rewritten, because their options "
        f"changed{options}"
    )


def _copy(copy: PlannedCopy) -> str:
    size = "size unknown" if copy.size is None else format_size(copy.size)
    source = copy.item.shown_source
    why = copy.why + (f": {', '.join(copy.options)}" if copy.options else "")
    if _is_rewrite(copy):
        return f"~ rewrite {copy.item.destination}  <- {source}  ({why}; {size}, by the store, no bytes sent)"
    size += ", then read back" if copy.readback else ""
    how = copy.kind.value if copy.original is None else f"copied by the store from {copy.original}, no bytes sent"
    return f"+ copy {copy.item.destination}  <- {source}  ({_fallback(copy.item)}{why}; {size}, {how})"


def _fallback(item: Item) -> str:
    """Which fallback serves the item, if the primary URL does not."""
    place = item.urls.index(item.origin) if item.urls else 0
    return f"fallback {place} of {len(item.urls) - 1}; " if place else ""


def _adoption(adoption: PlannedAdoption) -> str:
    return f"= adopt {adoption.item.destination}  <- {adoption.item.shown_source}  ({adoption.why}: nothing is written)"


def _removal(removal: PlannedDeletion) -> str:
    return f"- delete {removal.item.destination}  ({removal.why}: {removal.item.shown_source})"


def _leaving(leaving: PlannedFileRemoval) -> str:
    what = f"delete {leaving.item.shown_source}"
    if isinstance(leaving.removal, MoveFile):
        what = f"move {leaving.item.shown_source}  -> {leaving.removal.directory}"
    return f"- {what}  (after_upload, once its copy is proven)"


def _left(left: Left) -> str:
    outcome = left.outcome
    word = outcome.state.value.lower()
    reason = ": ".join(part for part in (outcome.reason.value if outcome.reason else "", outcome.message) if part)
    sign = _SIGNS.get(outcome.state, ".")
    return f"{sign} {word} {left.item.destination}  <- {left.item.shown_source}" + (f"  ({reason})" if reason else "")


def json_text(found: Plan) -> Iterator[str]:
    """The plan as one JSON document, without secrets, in the form that docs/commands.md documents; a row at a time."""
    changes = chain(
        map(_bucket_json, found.buckets),
        map(_copy_json, found.copies),
        map(_adoption_json, found.adoptions),
        map(_removal_json, found.removals),
        map(_leaving_json, found.leaving),
    )
    rest: dict[str, object] = {
        "unchanged": found.unchanged,
        "adopted": found.adopted,
        "differences": found.differences,
        "incomplete": found.incomplete,
        "problems": found.problems,
        "duration": round(found.duration, 3),
    }
    yield "{"
    yield from _json_list("changes", changes)
    yield from _json_list("rewrites", map(asdict, found.rewrites))
    yield from _json_list("left", map(_left_json, found.left))
    yield ",".join(f'\n  "{name}": {_indented(value, 1)}' for name, value in rest.items())
    yield "\n}\n"


def _json_list(name: str, values: Iterable[object]) -> Iterator[str]:
    yield f'\n  "{name}": ['
    end = "],"
    for number, value in enumerate(values):
        yield f"{',' if number else ''}\n    {_indented(value, 2)}"
        end = "\n  ],"
    yield end


def _indented(value: object, depth: int) -> str:
    return json.dumps(as_json(value), indent=2).replace("\n", "\n" + depth * "  ")


def _bucket_json(new: NewBucket) -> dict[str, object]:
    why = "the bucket is declared and does not exist"
    return {"action": "create-bucket", "store": new.store, "destination": f"s3://{new.bucket}", "why": why}


def _copy_json(copy: PlannedCopy) -> dict[str, object]:
    read = {"readback": copy.size} if copy.readback else {}
    original = {"copied_from": str(copy.original)} if copy.original is not None else {}
    what: dict[str, object] = {"why": copy.why, "kind": copy.kind, "size": copy.size}
    if copy.options is not None:
        what["options"] = copy.options
    if _is_rewrite(copy):
        return {"action": "rewrite", **_item_json(copy.item), **what}
    return {"action": "copy", **_item_json(copy.item), **what, **read, **original}


def _adoption_json(adoption: PlannedAdoption) -> dict[str, object]:
    return {"action": "adopt", **_item_json(adoption.item), "why": adoption.why}


def _removal_json(removal: PlannedDeletion) -> dict[str, object]:
    return {"action": "delete", **_item_json(removal.item), "why": removal.why}


def _leaving_json(leaving: PlannedFileRemoval) -> dict[str, object]:
    action, where = "delete-file", {}
    if isinstance(leaving.removal, MoveFile):
        action, where = "move-file", {"to": leaving.removal.directory}
    return {"action": action, **_item_json(leaving.item), "why": "after_upload, once its copy is proven", **where}


def _left_json(left: Left) -> dict[str, object]:
    outcome = left.outcome
    return {**_item_json(left.item), "state": outcome.state, "reason": outcome.reason, "message": outcome.message}


def _item_json(item: Item) -> dict[str, object]:
    return {
        "id": item.id,
        "entry": item.entry,
        "source": item.shown_source,
        **({"urls": [shown_origin(one) for one in item.urls]} if item.urls else {}),
        "store": item.destination.store,
        "destination": str(item.destination),
    }
