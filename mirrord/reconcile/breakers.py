"""The breakers of one process: one for each store and each host of sources; who is held back, and what is learned.

Owns which errors tell of an outage. An item that is held back was not tried: nothing is asked, counted, recorded or
said of it but the outcome. What opens and closes a breaker is `planning.breaker`'s; that it did is one line in the log.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from logging import getLogger
from random import random
from urllib.parse import urlsplit

from mirrord.errors import (
    BucketMissing,
    MirrordError,
    OutcomeUnknown,
    PreconditionFailed,
    Reason,
    SourceDenied,
    SourceMissing,
    SourceUnavailable,
    StoreDenied,
    StoreUnavailable,
)
from mirrord.model import Item, Outcome, State
from mirrord.planning.breaker import Breaker, answered, entered, failed, left, waits

_log = getLogger(__name__)

_OUTAGES = (SourceUnavailable, StoreUnavailable, OutcomeUnknown)
_ANSWERS = (SourceDenied, SourceMissing, StoreDenied, BucketMissing, PreconditionFailed)
_OWN_PORTS = {"http": 80, "https": 443}

Part = tuple[Reason, str]
"""What an item depends on: the reason to give while it does not answer, and its name."""


@dataclass(slots=True, kw_only=True)
class Breakers:
    """Asked before each try of an item, and told what came of it. Times are monotonic seconds.

    After `tries` openings in a row without an answer between them, who is held back is told that this was all for now:
    programs that end must come to their end.
    """

    tries: float = math.inf
    chance: Callable[[], float] = random  # uniform in [0, 1)
    _states: dict[Part, Breaker] = field(default_factory=dict, init=False)
    _why: dict[Part, str] = field(default_factory=dict, init=False)

    def held(self, item: Item, now: float) -> Outcome | None:
        """What to say of an item that must not be tried now; None: it is let through, and `leave` must follow."""
        parts = _parts(item)
        wait, part = max((waits(self._of(part), now), part) for part in parts)
        if wait:
            return self._outcome(part, wait)
        for part in parts:
            self._keep(part, entered(self._of(part), item.id))
        return None

    def leave(self, item: Item) -> None:
        """The try of an item that was let through is over."""
        for part in _parts(item):
            self._keep(part, left(self._of(part), item.id))

    def answered(self, item: Item, now: float, *, store: bool) -> None:
        """The item's source answered; with `store` its store did too."""
        for part in _parts(item):
            if store or part[0] is Reason.SOURCE_UNAVAILABLE:
                self._answered(part, now)

    def failed(self, item: Item, error: MirrordError, now: float, *, begun: bool) -> None:
        """A try of the item ended with `error`; `begun`: bytes were moving, so the source had answered.

        A body that breaks off says nothing of the host, but a request to come back later does.
        """
        part = next((one for one in _parts(item) if one[0] is error.reason), None)
        if isinstance(error, _ANSWERS):
            source = isinstance(error, SourceDenied | SourceMissing)
            self.answered(item, now, store=True) if source else self._answered(_store(item), now)
        elif part is not None and isinstance(error, _OUTAGES):
            body = begun and isinstance(error, SourceUnavailable)
            if not body or error.retry_after:
                self._failed(part, item, error, now)

    # ── one part ──────────────────────────────────────────────────────────────────────────────────
    def _of(self, part: Part) -> Breaker:
        return self._states.get(part, Breaker())

    def _keep(self, part: Part, state: Breaker) -> None:
        """Closed breakers that suspect nobody take no memory: hosts come and go."""
        if state == Breaker():
            self._states.pop(part, None)
            self._why.pop(part, None)
        else:
            self._states[part] = state

    def _answered(self, part: Part, now: float) -> None:
        before = self._of(part)
        self._keep(part, answered(before, now))
        if before.opened and not self._of(part).opened:
            _log.warning("%s answers again", part[1])

    def _failed(self, part: Part, item: Item, error: MirrordError, now: float) -> None:
        before = self._of(part)
        after = failed(before, item.id, now, self.chance(), error.retry_after)
        self._keep(part, after)
        self._why[part] = str(error)
        if after.opened and not before.opened:
            _log.warning("%s does not answer, its items are held back: %s", part[1], error)

    def _outcome(self, part: Part, wait: float) -> Outcome:
        """The crowd comes back over as long again as it was held, not in one moment."""
        spent = self._of(part).opened >= self.tries
        return Outcome(
            state=State.RETRYING,
            reason=part[0],
            message=f"held back while {part[1]} does not answer: {self._why.get(part, 'unknown')}",
            retry_in=None if spent else wait * (1.0 + self.chance()),
            tried=False,
        )


def _parts(item: Item) -> list[Part]:
    host = _host(item.source)
    return [_store(item), *([(Reason.SOURCE_UNAVAILABLE, host)] if host else [])]


def _store(item: Item) -> Part:
    return Reason.STORE_UNAVAILABLE, f"store {item.destination.store!r}"


def _host(source: str) -> str:
    """`host example.org:443`; empty for sources that are on no host."""
    scheme = source.partition("://")[0]
    if scheme not in _OWN_PORTS:
        return ""
    try:
        parts = urlsplit(source)
        return f"host {parts.hostname}:{parts.port or _OWN_PORTS[scheme]}"
    except ValueError:  # refused by the source itself, in its own words
        return ""
