"""One call to a store, as errors name it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StoreCall:
    """`write`: a lost answer leaves its outcome unknown. `proxy`: the HTTP proxy before the store, without userinfo."""

    operation: str
    store: str
    bucket: str = ""
    key: str | None = None
    write: bool = False
    proxy: str | None = None

    def message(self, reason: str) -> str:
        """One line: what was asked of whom, and what came of it."""
        place = f" s3://{self.bucket}/{self.key or ''}" if self.bucket else ""
        through = f" through the proxy {self.proxy}" if self.proxy else ""
        return f"{self.operation}{place} at store {self.store!r}{through}: {_one_line(reason)}"


def _one_line(words: str) -> str:
    line = " ".join(words.split())
    return line if len(line) <= 300 else f"{line[:299]}…"
