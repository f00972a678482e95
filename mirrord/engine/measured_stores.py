"""What `doctor --store` measured, in a file of the state directory, by the endpoint of the store.

Owns the file: only its owner reads it, it is replaced as a whole, and it is no part of the journal, so that `doctor`
can write it while a daemon runs. A daemon reads it when it opens a store. `providers.measured` uses the values.
"""

import json
import os
from collections.abc import Mapping
from logging import getLogger
from pathlib import Path

from mirrord.journal.private import private_directory
from mirrord.providers.facts import FactValue
from mirrord.providers.measured import KEPT_FOR, MeasuredFacts
from mirrord.settings import MEASURED

_log = getLogger(__name__)

_VERSION = 1


def keep_measured(directory: Path, endpoint: str, measured: MeasuredFacts) -> None:
    """Replace what was measured at this endpoint, and forget what is too old. Raises JournalUnavailable, OSError."""
    private_directory(directory)
    stores = {**measured_stores(directory, measured.when), endpoint: measured}
    content = {
        "version": _VERSION,
        "stores": {
            name: {"server": one.server, "when": one.when, "values": dict(one.values)} for name, one in stores.items()
        },
    }
    new = directory / f"{MEASURED}.new"
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(content, file, indent=1)
    new.replace(directory / MEASURED)


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
