"""`daemon.bandwidth`: a rate, or rates by time of day in a time zone. Each fault has the position of its own key or
value; windows that overlap are a fault of the later one."""

import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from mirrord.manifest.schema.fields import RATE_SCHEMA, ScalarType, as_text, read_rate, refuse
from mirrord.manifest.schema.texts import ZONE
from mirrord.model import BandwidthLimits, RateWindow

_HOURS = r"(?:[01]\d|2[0-3]):[0-5]\d"
_WINDOW = re.compile(rf"({_HOURS})-({_HOURS}|24:00)")
_LIMIT: dict[str, Any] = {"anyOf": [{"const": "unlimited"}, RATE_SCHEMA]}
_WINDOWS: dict[str, Any] = {
    "type": "object",
    "properties": {"default": _LIMIT, "timezone": ZONE.schema},
    "patternProperties": {f"^{_WINDOW.pattern}$": _LIMIT},
    "additionalProperties": False,
}


def _limit(value: object) -> int | None:
    return None if value == "unlimited" else read_rate(value)


def _window(key: object) -> tuple[int, int]:
    text = as_text(key, "a time of day")
    match = _WINDOW.fullmatch(text)
    if match is None:
        raise refuse("{quoted} is not a time of day; write it like 08:00-18:00, or default, or timezone")
    if match[1] == match[2]:
        raise refuse("{quoted} is empty; write 00:00-24:00 for the whole day")
    start, end = (int(one[:2]) * 60 + int(one[3:]) for one in match.groups())
    return start, end % (24 * 60)


class _Reading:
    """The windows that were read so far, and the faults."""

    def __init__(self) -> None:
        self.windows: dict[str, RateWindow] = {}
        self.faults: list[InitErrorDetails] = []

    def checked(self, read: Callable[[object], Any], value: object, *steps: str) -> Any:
        """The value as read; None after a fault at these steps."""
        try:
            return read(value)
        except PydanticCustomError as error:
            self.faults.append(InitErrorDetails(type=error, loc=steps, input=None))
            return None

    def add(self, key: str, value: object) -> None:
        """One window. It may not have a minute of an earlier one."""
        times = self.checked(_window, key, key, "[key]")
        rate = self.checked(_limit, value, key)
        if times is None:
            return
        found = RateWindow(times[0], times[1], rate)
        other = next((name for name, one in self.windows.items() if one.minutes() & found.minutes()), None)
        if other is not None:
            message = refuse(f"{{quoted}} overlaps {other}; one time has one rate")
            self.faults.append(InitErrorDetails(type=message, loc=(key, "[key]"), input=None))
        self.windows[key] = found


def _read(value: object) -> BandwidthLimits:
    if not isinstance(value, dict):
        return BandwidthLimits(default=_limit(value))
    reading, fields = _Reading(), {"default": _limit, "timezone": ZONE.read}
    found = {key: reading.checked(read, value[key], key) for key, read in fields.items() if key in value}
    for key, rate in value.items():
        if key not in fields:
            reading.add(key, rate)
    if reading.faults:
        raise ValidationError.from_exception_data("bandwidth", reading.faults, hide_input=True)
    return BandwidthLimits(tuple(reading.windows.values()), **found)


BandwidthField = Annotated[BandwidthLimits, ScalarType(_read, {"anyOf": [*_LIMIT["anyOf"], _WINDOWS]})]
