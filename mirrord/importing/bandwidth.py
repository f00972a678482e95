"""rclone's `--bwlimit` as `daemon.bandwidth`. Owns its syntax (rclone docs, "--bwlimit")."""

import re

_UNITS = {"b": "B", "": "KiB", "k": "KiB", "m": "MiB", "g": "GiB", "t": "TiB"}

LOCAL_TIMES = (
    "--bwlimit means local time, and the zone is not known, so the times of daemon.bandwidth are UTC: see --timezone"
)


def bandwidth_of(text: str) -> str | dict[str, str] | None:
    """A rate, or rates by time of day; None for a form that mirrord does not have, like days of the week."""
    if not re.search(r"\d:\d\d,", text):
        return _rate(text)
    parts = [re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d),(\S+)", one) for one in text.split()]
    found = [(f"{match[1]}:{match[2]}", _rate(match[3])) for match in parts if match]
    if len(found) != len(parts) or [when for when, _ in found] != sorted({when for when, _ in found}):
        return None
    windows: dict[str, str] = {}
    for (start, rate), (end, _) in zip(found, [*found[1:], ("", None)], strict=True):
        if rate is None:
            return None
        windows[f"{start}-{end}" if end else "default"] = rate
    return windows


def _rate(text: str) -> str | None:
    """`10M`, `off`, or `10M:1M`, of which the first is for uploads."""
    text = (
        text.partition(":")[0]
        .lower()
        .removesuffix("ib")
        .removesuffix("b" if len(text) > 1 and text[-2:-1].isalpha() else "")
    )
    if text in ("off", "0"):
        return "unlimited"
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([bkmgt]?)", text)
    return f"{match[1]}{_UNITS[match[2]]}/s" if match else None
