"""The name of one call to a store in error messages. Time limits are in `bounded_calls`."""

from typing import NamedTuple

_MAX_REASON = 300


class NotOpen(RuntimeError):
    """A mistake of the caller, not of the store: nothing was sent."""


class StoreCall(NamedTuple):
    """One call to a store. `write`: the outcome is unknown if no answer comes. `conditional`: it has If-None-Match.

    `proxy` is the URL of the HTTP proxy in front of the store, without userinfo.
    """

    operation: str
    store: str
    bucket: str = ""
    key: str | None = None
    write: bool = False
    proxy: str | None = None
    conditional: bool = False

    def message(self, reason: str) -> str:
        """One line with the operation, the object, the store and the reason (cut to 300 characters)."""
        target = f" s3://{self.bucket}/{self.key or ''}" if self.bucket else ""
        through = f" through the proxy {self.proxy}" if self.proxy else ""
        return f"{self.operation}{target} at store {self.store!r}{through}: {_one_line(reason)}"


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MAX_REASON else f"{line[: _MAX_REASON - 1]}…"
