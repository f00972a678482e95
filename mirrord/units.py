"""Sizes, durations and rates as users write them: `64MiB`, `10GB`, `6h`, `100MiB/s`; and back again.

Owns parsing and formatting of quantities. Ambiguous text is an error: a number of seconds without a unit, `mb`.
"""

import re

KiB = 1024
MiB = 1024 * KiB
GiB = 1024 * MiB
TiB = 1024 * GiB

_SIZES = {
    "B": 1,
    "KiB": KiB,
    "MiB": MiB,
    "GiB": GiB,
    "TiB": TiB,
    "KB": 10**3,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
}
_SPANS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_NUMBER = r"[0-9]{1,18}(?:\.[0-9]{1,18})?"  # more digits are no quantity, and would not fit into a float
_QUANTITY = re.compile(rf"({_NUMBER})\s*([A-Za-z]*)")
_DURATION = re.compile(rf"(?:{_NUMBER}(?:ms|s|m|h|d|w))+")
_DURATION_STEP = re.compile(rf"({_NUMBER})(ms|s|m|h|d|w)")


def parse_size(text: str) -> int:
    """Bytes in `64MiB`, `10GB`, `1.5GiB` or `4096`. The ValueError names the expected form."""
    match = _QUANTITY.fullmatch(text.strip())
    unit = _SIZES.get(match[2] or "B") if match else None
    if match is None or unit is None:
        raise ValueError(f"{text!r} is not a size; write a number with B, KiB, MiB, GiB, TiB, KB, MB, GB or TB")
    return int(float(match[1]) * unit) if "." in match[1] else int(match[1]) * unit


def parse_duration(text: str) -> float:
    """Seconds in `90s`, `6h`, `1h30m`, `250ms`. The ValueError names the expected form."""
    text = text.strip()
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration; write a number with ms, s, m, h, d or w, like 90s or 6h")
    return sum(float(number) * _SPANS[unit] for number, unit in _DURATION_STEP.findall(text))


def parse_rate(text: str) -> int:
    """Bytes per second in `100MiB/s`. The ValueError names the expected form."""
    size, slash, second = text.strip().partition("/")
    if not slash or second != "s":
        raise ValueError(f"{text!r} is not a rate; write a size per second, like 20MiB/s")
    return parse_size(size)


def format_size(count: float) -> str:
    """`1.5 GiB`: the largest binary unit with a value of at least 1, with one decimal; bytes without."""
    for unit, scale in (("TiB", TiB), ("GiB", GiB), ("MiB", MiB), ("KiB", KiB)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count:.0f} B"


def format_duration(seconds: float) -> str:
    """`850ms`, `12s`, `3m20s`, `2h05m`, `4d03h`: at most two units."""
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 60:
        return f"{seconds:.0f}s"
    whole = int(seconds)
    for big, big_size, small, small_size in (
        ("d", 86400, "h", 3600),
        ("h", 3600, "m", 60),
        ("m", 60, "s", 1),
    ):
        if whole >= big_size:
            return f"{whole // big_size}{big}{whole % big_size // small_size:02d}{small}"
    raise AssertionError("unreachable")
