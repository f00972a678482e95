"""How many files and sockets this process may have open: as many as the system lets it ask for."""

import resource
from contextlib import suppress


def descriptors() -> int:
    """Raise the soft limit to the hard one (getrlimit(2)); the limit that is then in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(ValueError, OSError):  # a system may refuse what it names itself
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    return soft if soft != resource.RLIM_INFINITY else 2**31
