"""The open files and sockets of this process: their limit, raised to the highest that the system allows, and the share
of each store's connections. `web.connections` has the share of the page; the rest is for sources, folders and journal.
"""

import resource
from contextlib import suppress

_STORES = 2
"""The connections of all stores together use at most one in so many descriptors."""
_SETS = 2
"""Sets of connections of a store: those of `s3.wire` and those of the SDK."""


def descriptors() -> int:
    """Raise the soft limit to the hard one (getrlimit(2)); returns the limit that then applies."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(ValueError, OSError):  # some systems refuse their own hard limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    return soft if soft != resource.RLIM_INFINITY else 2**31


def connections_a_store(descriptors: int, stores: int) -> int:
    """The largest set of connections that each of so many stores may have, at least 1."""
    return max(1, descriptors // (_STORES * _SETS * stores))


def descriptors_for(connections: int, stores: int) -> int:
    """The limit of open files at which each of so many stores may have such a set."""
    return connections * _STORES * _SETS * stores
