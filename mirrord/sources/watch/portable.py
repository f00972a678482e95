"""Events by watchfiles: for a few directories, and for trees on systems without inotify. Its only importer.

Owns the thread that watchfiles starts. watchfiles follows symbolic links to directories, so that one link to `/` would
use up every watch of the machine: a tree with such a link is refused. It loses events without a report
(FIELD_NOTES 14), so the user of a watch must also scan on a timer.
"""

import os
from collections.abc import Iterator, Sequence

from watchfiles import Change, watch

from mirrord.sources.watch.reader import OnWatching, ShouldStop

_STEP_MS, _DEBOUNCE_MS = 50, 100  # the delay of a single event, and of the first event in a stream without pauses


def read_events(
    roots: Sequence[str], *, recursive: bool, on_watching: OnWatching, should_stop: ShouldStop, every: float
) -> Iterator[set[str]]:
    """See `reader.EventReader`. Raises OSError also for a tree that has a link to a directory."""
    if recursive:
        for root in roots:
            _refuse_links(root, should_stop)
    batches = watch(
        *roots,
        watch_filter=None,
        step=_STEP_MS,
        debounce=_DEBOUNCE_MS,
        rust_timeout=round(every * 1000),
        yield_on_timeout=True,
        stop_event=_StopEvent(should_stop, on_watching),
        raise_interrupt=False,
        recursive=recursive,
        ignore_permission_denied=True,
    )
    try:
        for changes in batches:
            yield {path for _, path in changes}
            if any(change is Change.deleted and path in roots for change, path in changes):
                return
    except RuntimeError as error:  # raised by watchfiles when a watch fails
        raise OSError(str(error)) from error


class _StopEvent:
    """The stop event of watchfiles. Its first `is_set` call is the only sign that the watches are set."""

    def __init__(self, should_stop: ShouldStop, on_watching: OnWatching) -> None:
        self._should_stop = should_stop
        self._on_watching: OnWatching | None = on_watching

    def is_set(self) -> bool:
        if self._on_watching is not None:
            self._on_watching()
            self._on_watching = None
        return self._should_stop()


def _refuse_links(root: str, should_stop: ShouldStop) -> None:
    for directory, names, _ in os.walk(root):
        if should_stop():
            return
        for name in names:
            path = os.path.join(directory, name)
            if os.path.islink(path):
                raise OSError(f"{path} is a link to a directory, which events would follow")
