"""Export by OTLP, while the variable OTEL_EXPORTER_OTLP_ENDPOINT is set. Otherwise nothing of it is imported.

Owns when it is on; `otlp_observer` makes spans and metrics. The SDK reads the other OTEL_* variables itself.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from mirrord.ports import Observer

VARIABLE = "OTEL_EXPORTER_OTLP_ENDPOINT"
_log = logging.getLogger(__name__)


@contextmanager
def exporting(environ: Mapping[str, str]) -> Iterator[list[Observer]]:
    """The observer that exports; none while it is off, or if the extra `otel` is not installed, which is logged."""
    if not environ.get(VARIABLE):
        yield []
        return
    try:
        from mirrord.telemetry.otlp_observer import OtlpObserver
    except ImportError as error:
        text = "%s is set, but nothing is exported: %s; install mirrord with its extra: pip install 'mirrord[otel]'"
        _log.error(text, VARIABLE, error)
        yield []
        return
    with OtlpObserver(environ) as observer:
        yield [observer]
