"""Events by watchfiles: of directories that are few, and of trees where there is no inotify. The only importer of it.

Owns a thread of watchfiles' own. It follows symbolic links to directories, through which one link to `/` would eat
every watch of the machine: a tree that has one is refused. It loses events in silence (FIELD_NOTES 14), as the
reader's timer knows.
"""

import os
from collections.abc import Iterator, Sequence

from watchfiles import Change, watch

from mirrord.sources.watch.reader import Standing, Stopped

_STEP_MS, _DEBOUNCE_MS = 50, 100  # two thirds of an event's latency, and that of the first in a stream without pauses


def follow(
    roots: Sequence[str], *, recursive: bool, standing: Standing, stopped: Stopped, every: float
) -> Iterator[set[str]]:
    """See `reader.Follow`. Raises OSError also for a tree that has a link to a directory."""
    if recursive:
        for root in roots:
            _refuse_links(root, stopped)
    batches = watch(
        *roots,
        watch_filter=None,
        step=_STEP_MS,
        debounce=_DEBOUNCE_MS,
        rust_timeout=round(every * 1000),
        yield_on_timeout=True,
        stop_event=_Asked(stopped, standing),
        raise_interrupt=False,
        recursive=recursive,
        ignore_permission_denied=True,
    )
    try:
        for changes in batches:
            yield {path for _, path in changes}
            if any(change is Change.deleted and path in roots for change, path in changes):
                return
    except RuntimeError as error:  # watchfiles, for what befalls a watch that stands
        raise OSError(str(error)) from error


class _Asked:
    """The event that watchfiles asks at every step, and first once its watches stand, which it says in no other way."""

    def __init__(self, stopped: Stopped, standing: Standing) -> None:
        self._stopped = stopped
        self._standing: Standing | None = standing

    def is_set(self) -> bool:
        if self._standing is not None:
            self._standing()
            self._standing = None
        return self._stopped()


def _refuse_links(root: str, stopped: Stopped) -> None:
    for directory, names, _ in os.walk(root):
        if stopped():
            return
        for name in names:
            path = os.path.join(directory, name)
            if os.path.islink(path):
                raise OSError(f"{path} is a link to a directory, which events would follow")
