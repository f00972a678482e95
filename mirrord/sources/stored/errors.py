"""The errors of a store that is a source, as errors of the source."""

from collections.abc import Iterator
from contextlib import contextmanager

from mirrord.errors import (
    BucketMissing,
    PreconditionFailed,
    SourceChanged,
    SourceDenied,
    SourceError,
    SourceMissing,
    SourceRefused,
    SourceUnavailable,
    StoreDenied,
    StoreError,
    StoreUnavailable,
)

_ERRORS: tuple[tuple[type[StoreError], type[SourceError]], ...] = (
    (StoreDenied, SourceDenied),
    (BucketMissing, SourceMissing),
    (StoreUnavailable, SourceUnavailable),
    (PreconditionFailed, SourceChanged),
)


@contextmanager
def as_source_errors() -> Iterator[None]:
    """Around calls to a store that is a source: its errors are those of the source."""
    try:
        yield
    except StoreError as error:
        kind = next((source for store, source in _ERRORS if isinstance(error, store)), SourceRefused)
        raise kind(
            str(error), retry_after=error.retry_after, answered=error.answered, throttled=error.throttled
        ) from error
