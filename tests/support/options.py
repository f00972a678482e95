"""Makes options of items from a flat list of fields, without their groups."""

from dataclasses import fields
from typing import Any

from mirrord.model import Options, Schedule, SourceRequirements

_GROUPS = {"schedule": Schedule, "requires": SourceRequirements}


def make_options(**changes: Any) -> Options:
    """Options with these fields, their own or those of `schedule` and `requires`."""
    for name, group in _GROUPS.items():
        own = {field.name: changes.pop(field.name) for field in fields(group) if field.name in changes}
        if own:
            changes[name] = group(**own)
    return Options(**changes)
