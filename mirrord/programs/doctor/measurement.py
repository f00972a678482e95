"""What a measurement of a store returns. Pure."""

from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

from mirrord.programs.doctor.probe_objects import ProbeObjects
from mirrord.providers.facts import FactValue


class Measured(NamedTuple):
    """One value: `name` is a `FactName`, or a word of `judgements`."""

    name: str
    value: FactValue


Measurement = Callable[[ProbeObjects], AsyncIterator[Measured]]
"""Raises MirrordError if it cannot be measured; the values before that count."""
