"""Which hosts send the MD5 of the bytes as their ETags, as S3 and some servers do. No I/O.

Owns the rule: an ETag that looks like an MD5 counts only after it was equal to the MD5 of some bodies of its host, and
never after one differed. Known for the time of a process: a server may be replaced by another.
"""

Host = tuple[str, str]
"""See `urls.origin`."""
NEEDED = 3
"""Bodies with different ETags."""
_MOST_HOSTS = 10_000


class MD5ETags:
    """What is known of the ETags of each host."""

    def __init__(self) -> None:
        self._agreed: dict[Host, set[str]] = {}
        self._others: set[Host] = set()

    def are_md5(self, host: Host) -> bool | None:
        """Whether ETags of 32 hex digits are MD5s there; None: too few were compared."""
        if host in self._others:
            return False
        return True if len(self._agreed.get(host, ())) >= NEEDED else None

    def note(self, host: Host, etag: str, *, equal: bool) -> None:
        """A whole body of the host was read, and its MD5 was `equal` to its ETag, or not."""
        if len(self._agreed) + len(self._others) >= _MOST_HOSTS:
            self._agreed.clear()
            self._others.clear()
        if not equal:
            self._others.add(host)
        elif self.are_md5(host) is None:
            self._agreed.setdefault(host, set()).add(etag)
