"""The limit of open files and sockets of this process, raised to the highest that the system allows."""

import resource
from contextlib import suppress


def descriptors() -> int:
    """Raise the soft limit to the hard one (getrlimit(2)); returns the limit that then applies."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(ValueError, OSError):  # some systems refuse their own hard limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    return soft if soft != resource.RLIM_INFINITY else 2**31
