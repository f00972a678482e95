"""The breakers of one process: one for each store and each host of sources; who is held back, and what is learned.

Owns which errors tell of an outage. An item that is held back was not tried: nothing is asked, counted, recorded or
said of it but the outcome. What opens, slows and closes a breaker is `planning.timing.breaker`'s; that it did is one
line in the log. Those held back that never failed are released as soon as it closes.
"""

import math
from collections.abc import Callable, Collection
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
from mirrord.model import Item, Outcome, State, Url
from mirrord.planning.timing.breaker import (
    PROBE_TIMEOUT,
    RULE,
    Breaker,
    admitted,
    answered,
    failed,
    in_retry_after,
    is_open,
    reached,
    reserved,
    returned,
    waits,
)

_log = getLogger(__name__)

MOST_FAILURES = 1_000
"""Programs that end ask no more of a host or store of which so many answers in a row were 5xx or 429."""
EACH = 0.002
"""Seconds between two questions of those that are held back, whether they may go on."""
_OUTAGES = (SourceUnavailable, StoreUnavailable, OutcomeUnknown)
_ANSWERS = (SourceDenied, SourceMissing, StoreDenied, BucketMissing, PreconditionFailed)
_OWN_PORTS = {"http": 80, "https": 443}

Part = tuple[Reason, str]
"""What an item depends on: the reason to give while it does not answer, and its name."""


Release = Callable[[Collection[str]], None]
"""Called with the ids of items that need not wait any longer."""


def _ignore(_item_ids: Collection[str]) -> None:
    """For programs in which no item waits."""


@dataclass(slots=True, kw_only=True)
class Breakers:
    """Asked before each try of an item, and told what came of it. Times are monotonic seconds.

    After `tries` failed probes in a row without a good answer between them, who failed is told that this was all for
    now: programs that end must come to their end. `release` is told which items need not wait any longer.
    """

    tries: float = math.inf
    chance: Callable[[], float] = random  # uniform in [0, 1)
    release: Release = _ignore
    _states: dict[Part, Breaker] = field(default_factory=dict, init=False)
    _why: dict[Part, str] = field(default_factory=dict, init=False)
    _waiting: dict[Part, dict[str, bool]] = field(default_factory=dict, init=False)
    """Ids of the items that wait for a breaker, each with whether it never failed."""

    def held(self, item: Item, now: float, *, fresh: bool = True) -> Outcome | None:
        """What to say of an item that must not be tried now; None: it is let through, and `leave` must follow.

        `fresh`: the item has not failed since it last succeeded.
        """
        parts = _parts(item)
        wait, part = max((waits(self._of(part), now, fresh=fresh), part) for part in parts)
        if wait:
            return self._held(part, item, now, wait, fresh=fresh)
        for part in parts:
            self._waiting.get(part, {}).pop(item.id, None)
            self._keep(part, admitted(self._of(part), item.id, now + PROBE_TIMEOUT))
        return None

    def leave(self, item: Item) -> None:
        """The try of an item that was let through is over."""
        for part in _parts(item):
            self._keep(part, returned(self._of(part), item.id))

    def answered(self, item: Item, now: float, *, store: bool) -> None:
        """The item's source answered; with `store` its store did too."""
        for part in _parts(item):
            if store or part[0] is Reason.SOURCE_UNAVAILABLE:
                self._answered(part, now)

    def reached(self, item: Item) -> None:
        """The item's store answered a read, and the answer to a write is what counts."""
        part = _store(item)
        self._keep(part, reached(self._of(part)))

    def failed(self, item: Item, error: MirrordError, now: float, *, begun: bool, fresh: bool) -> Outcome | None:
        """A try of the item ended with `error`; `begun`: bytes were moving, so the source had answered.

        What to say of it where everything failed lately, so that the try is not counted. None: it counts. A body that
        breaks off says nothing of the host, but an answer with a status does.
        """
        part = next((one for one in _parts(item) if one[0] is error.reason), None)
        if isinstance(error, _ANSWERS):
            source = isinstance(error, SourceDenied | SourceMissing)
            self.answered(item, now, store=True) if source else self._answered(_store(item), now)
        elif part is not None and isinstance(error, _OUTAGES):
            body = begun and isinstance(error, SourceUnavailable)
            if not body or error.answered or error.retry_after:
                return self._failed(part, item, error, now, fresh=fresh)
        return None

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
            waiting = self._waiting.pop(part, {})
            self.release([item_id for item_id, fresh in waiting.items() if fresh])

    def _failed(self, part: Part, item: Item, error: MirrordError, now: float, *, fresh: bool) -> Outcome | None:
        before = self._of(part)
        after = failed(before, item.id, now, self.chance(), error.retry_after, answer=error.answered, fresh=fresh)
        self._keep(part, after)
        self._why[part] = str(error)
        self._say(part, before, after)
        if not before.opened:
            return None
        if self._spent(after):
            self.release(self._waiting.pop(part, {}))  # to be told so
            return self._outcome(part, str(error), None)
        wait = self._wait(part, after, now, waits(after, now))
        self._waiting.setdefault(part, {})[item.id] = False
        return self._outcome(part, str(error), wait * (1.0 + self.chance()))

    def _say(self, part: Part, before: Breaker, after: Breaker) -> None:
        if is_open(after) and not is_open(before):
            _log.warning("%s does not answer, its items are held back: %s", part[1], self._why[part])
        elif after.opened and not before.opened:
            _log.warning("%s answers with errors, its items are tried one at a time: %s", part[1], self._why[part])

    def _held(self, part: Part, item: Item, now: float, wait: float, *, fresh: bool) -> Outcome:
        """The crowd comes back over as long again as it was held, not in one moment."""
        state = self._of(part)
        does = "does not answer" if is_open(state) else "answers with errors"
        message = f"held back while {part[1]} {does}: {self._why.get(part, 'unknown')}"
        first = fresh and not is_open(state)
        if self._spent(state, fresh=first):
            return self._outcome(part, message, None, tried=False)
        self._waiting.setdefault(part, {})[item.id] = fresh
        if first and not in_retry_after(state, now):
            state, moment = reserved(state, now, wait)
            self._keep(part, state)
            if moment is not None:
                return self._outcome(part, message, moment, tried=False)
            wait = RULE.cap
        elif not fresh:
            wait = self._wait(part, state, now, wait)
        return self._outcome(part, message, wait * (1.0 + self.chance()), tried=False)

    def _wait(self, part: Part, state: Breaker, now: float, wait: float) -> float:
        """Seconds for one that failed. Those that are promised their moments may all be good: it comes to see, the
        less often the more there are."""
        if in_retry_after(state, now) or is_open(state):
            return wait
        return min(wait, max(RULE.base, state.until - now, EACH * len(self._waiting.get(part, ()))))

    def _spent(self, state: Breaker, *, fresh: bool = False) -> bool:
        """Whether a program that ends has asked for long enough."""
        if fresh:
            return state.failures >= MOST_FAILURES and self.tries < math.inf
        return state.opened >= self.tries

    def _outcome(self, part: Part, message: str, retry_in: float | None, *, tried: bool = True) -> Outcome:
        return Outcome(
            state=State.RETRYING, reason=part[0], message=message, retry_in=retry_in, tried=tried, counts=False
        )


def _parts(item: Item) -> list[Part]:
    host = _host(item.origin.text) if isinstance(item.origin, Url) else ""
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
