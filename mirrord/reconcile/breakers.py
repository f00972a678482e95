"""The breakers of one process: one for each store and each host of sources.

Owns which errors count as an outage, and which items wait. An item that waits is not checked: no request is sent for
it, its outcome is reported, and nothing is counted or recorded. `planning.timing.breaker` decides when a breaker opens,
slows and closes; each change is one line in the log. When it closes, items that never failed stop waiting.
"""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from logging import getLogger
from random import random

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
from mirrord.model import Item, Outcome, S3Object, State, Url, host_of
from mirrord.planning.timing.backoff import Backoff, pause
from mirrord.planning.timing.breaker import (
    PROBE_TIMEOUT,
    RULE,
    Breaker,
    admitted,
    answered,
    failed,
    in_retry_after,
    is_open,
    phase,
    reached,
    reserved,
    returned,
    waits,
)
from mirrord.ports import Clock
from mirrord.reconcile.call_limits import CallLimits
from mirrord.reconcile.request_rates import RequestRates
from mirrord.status import MOST_BREAKERS, BreakerStatus

_log = getLogger(__name__)

MOST_FAILURES = 1_000
"""Programs that end send no more requests to a host or store after so many answers in a row with 5xx or 429."""
EACH = 0.002
"""Seconds between two checks of waiting items, whether they may go on."""
REFUSED = Backoff(base=1.0, cap=30.0, jitter=0.5)
"""Pauses of an item whose call was refused because too many run at once."""
ASK_AGAIN = 10.0
"""Seconds after which an item that was not begun, because many calls wait, asks again, if it was not told before."""
_OUTAGES = (SourceUnavailable, StoreUnavailable, OutcomeUnknown)
_ANSWERS = (SourceDenied, SourceMissing, StoreDenied, BucketMissing, PreconditionFailed)

_CLOSED = Breaker()
Dependency = tuple[Reason, str]
"""A store or host that an item needs: the reason of an item that waits for it, and its name."""


Release = Callable[[Collection[str]], None]
"""Called with the ids of items that need not wait any longer."""


def ignore_released(_item_ids: Collection[str]) -> None:
    """For programs in which no item waits."""


@dataclass(slots=True, kw_only=True)
class Breakers:
    """Called before each attempt at an item, and with its result. Times are monotonic seconds.

    After `tries` failed trials in a row without a good answer between them, no further attempt is due (`retry_in` is
    None): programs that end must end. `release` is called with the items that need not wait any longer.
    """

    tries: float = math.inf
    chance: Callable[[], float] = random  # uniform in [0, 1)
    release: Release = ignore_released
    requests: RequestRates = field(default_factory=RequestRates)
    calls: CallLimits = field(default_factory=CallLimits)
    opens: bool = True
    """False: no breaker opens, each item is tried."""
    _states: dict[Dependency, Breaker] = field(default_factory=dict, init=False)
    _why: dict[Dependency, str] = field(default_factory=dict, init=False)
    _since: dict[Dependency, float] = field(default_factory=dict, init=False)
    """When each of them left `closed`."""
    _waiting: dict[Dependency, dict[str, bool]] = field(default_factory=dict, init=False)
    """Ids of the items that wait for a breaker; True: the item never failed."""

    def admit(self, item: Item, now: float, *, fresh: bool = True) -> Outcome | None:
        """The outcome of an item that must wait now; None: it may be checked, and `leave` must follow.

        `fresh`: the item has not failed since it last succeeded.
        """
        quiet = not self._states and not self._waiting and not self.calls.limited
        if quiet and self.requests.rate is None:  # nothing fails, nothing is limited: most checks end here
            return None
        dependencies = () if quiet else _dependencies(item)
        if not quiet:
            wait, dependency = max((waits(self._of(one), now, fresh=fresh), one) for one in dependencies)
            if wait:
                return self._waiting_outcome(dependency, item, now, wait, fresh=fresh)
            if self.calls.limited and (outcome := self._put_off(item, dependencies)) is not None:
                return outcome
        if isinstance(item.origin, Url) and (wait := self.requests.begin(item.id, item.origin.text)):
            return _turned_away(
                f"waits for its turn at {host_of(item.origin.text)}: per_host.requests_per_second", wait
            )
        for dependency in dependencies:
            self._waiting.get(dependency, {}).pop(item.id, None)
            self._keep(dependency, admitted(self._of(dependency), item.id, now + PROBE_TIMEOUT))
        return None

    def in_order(self, alternatives: Sequence[Item], now: float, *, fresh: bool) -> Sequence[Item]:
        """One item with each of its sources: those whose host is held back come last. Registers nothing."""
        if not self._states:
            return alternatives
        return sorted(alternatives, key=lambda one: any(waits(self._of(at), now, fresh=fresh) for at in _hosts(one)))

    def closed(self, item: Item) -> bool:
        """Whether nothing holds items of the item's store and host back: many requests may be sent at once."""
        return not any(self._of(one).opened or _limit_of(one) in self.calls.limited for one in _dependencies(item))

    def leave(self, item: Item) -> None:
        """The attempt at an item that was let through has ended."""
        if isinstance(item.origin, Url):
            self.requests.left(item.id, item.origin.text)
        self.calls.left(item.id)
        if not self._states:
            return
        for dependency in _dependencies(item):
            self._keep(dependency, returned(self._of(dependency), item.id))

    def answered(self, item: Item, now: float, *, store: bool) -> None:
        """The item's source answered; with `store` its store, too."""
        if not self._states:
            return
        for dependency in _dependencies(item):
            if store or dependency[0] is Reason.SOURCE_UNAVAILABLE:
                self._answered(dependency, now)

    def reached(self, item: Item) -> None:
        """The item's store answered a read; only the answer to the write that follows decides."""
        if not self._states:
            return
        dependency = _store(item)
        self._keep(dependency, reached(self._of(dependency)))

    def failed(self, item: Item, error: MirrordError, now: float, *, begun: bool, fresh: bool) -> Outcome | None:
        """An attempt at the item ended with `error`; `begun`: bytes were moving, so the source had answered.

        Returns the outcome if its store or host failed for every item lately, so that the attempt is not counted; None:
        it counts. A body that breaks off is no evidence about the host, but an answer with a status is.
        """
        dependency = next((one for one in _dependencies(item) if one[0] is error.reason), None)
        if isinstance(error, _ANSWERS):
            source = isinstance(error, SourceDenied | SourceMissing)
            self.answered(item, now, store=True) if source else self._answered(_store(item), now)
        elif dependency is not None and isinstance(error, _OUTAGES):
            excused = error.throttled and self.calls.excuses(_limit_of(dependency), item.id)
            body = begun and isinstance(error, SourceUnavailable)
            outcome = None
            if error.retry_after or not (excused or (body and not error.answered)):
                outcome = self._failed(dependency, item, error, now, fresh=fresh)
            return outcome or (self._excused(dependency, item, error) if excused else None)
        return None

    # ── too many calls at once ────────────────────────────────────────────────────────────────────
    def _put_off(self, item: Item, dependencies: Sequence[Dependency]) -> Outcome | None:
        """The outcome of an item that is not begun, because enough calls to its store or host wait."""
        for dependency in dependencies:
            if not self.calls.admit(_limit_of(dependency), item.id):
                message = f"waits for its turn: {dependency[1]} gets few calls at once, because it refused more"
                return _turned_away(message, ASK_AGAIN * (1.0 + self.chance()))
        return None

    def _excused(self, dependency: Dependency, item: Item, error: MirrordError) -> Outcome:
        """The outcome of an item whose call was refused while others ran: no attempt, and no outage."""
        wait = pause(REFUSED, self.calls.excused(item.id), self.chance(), error.retry_after)
        return self._outcome(dependency, str(error), wait)

    # ── status ────────────────────────────────────────────────────────────────────────────────────
    def statuses(self, clock: Clock) -> tuple[BreakerStatus, ...]:
        """See `Status.breakers`."""
        now, offset = clock.monotonic(), clock.now() - clock.monotonic()
        found = [self._status(one, state, now, offset) for one, state in self._states.items() if one in self._why]
        return tuple(sorted(found, key=lambda one: (one.since is None, -one.waiting, one.name))[:MOST_BREAKERS])

    def _status(self, dependency: Dependency, state: Breaker, now: float, offset: float) -> BreakerStatus:
        since = self._since.get(dependency)
        return BreakerStatus(
            name=dependency[1],
            state=phase(state, now),
            since=None if since is None else since + offset,
            next_try=state.until + offset if state.opened and state.until > now else None,
            error=self._why[dependency],
            waiting=len(self._waiting.get(dependency, ())),
        )

    # ── one store or host ─────────────────────────────────────────────────────────────────────────
    def _of(self, dependency: Dependency) -> Breaker:
        return self._states.get(dependency, _CLOSED)

    def _keep(self, dependency: Dependency, state: Breaker) -> None:
        """Closed breakers without failures use no memory, because the hosts change over time."""
        if state == _CLOSED:
            self._states.pop(dependency, None)
            self._why.pop(dependency, None)
            self._since.pop(dependency, None)
        else:
            self._states[dependency] = state

    def _answered(self, dependency: Dependency, now: float) -> None:
        before = self._of(dependency)
        self._keep(dependency, answered(before, now))
        if before.opened and not self._of(dependency).opened:
            _log.warning("%s answers again", dependency[1])
            waiting = self._waiting.pop(dependency, {})
            self.release([item_id for item_id, fresh in waiting.items() if fresh])

    def _failed(
        self, dependency: Dependency, item: Item, error: MirrordError, now: float, *, fresh: bool
    ) -> Outcome | None:
        if not self.opens:
            return None
        before = self._of(dependency)
        after = failed(before, item.id, now, self.chance(), error.retry_after, answer=error.answered, fresh=fresh)
        self._keep(dependency, after)
        self._why[dependency] = str(error)
        if after.opened:
            self._since.setdefault(dependency, now)
        self._log_change(dependency, before, after)
        if not before.opened:
            return None
        if self._is_final(after):
            self.release(self._waiting.pop(dependency, {}))  # each of them then gets its last outcome
            return self._outcome(dependency, str(error), None)
        wait = self._wait(dependency, after, now, waits(after, now))
        self._waiting.setdefault(dependency, {})[item.id] = False
        return self._outcome(dependency, str(error), wait * (1.0 + self.chance()))

    def _log_change(self, dependency: Dependency, before: Breaker, after: Breaker) -> None:
        why = dependency[1], self._why[dependency]
        if is_open(after) and not is_open(before):
            _log.warning("%s does not answer, its items are held back: %s", *why)
        elif after.opened and not before.opened:
            _log.warning(
                "%s answers with errors, its items are tried one at a time: %s", dependency[1], self._why[dependency]
            )

    def _waiting_outcome(self, dependency: Dependency, item: Item, now: float, wait: float, *, fresh: bool) -> Outcome:
        """The outcome of an item that waits. The retries are spread over a period as long as the wait."""
        state = self._of(dependency)
        does = "does not answer" if is_open(state) else "answers with errors"
        message = f"held back while {dependency[1]} {does}: {self._why.get(dependency, 'unknown')}"
        first = fresh and not is_open(state)
        if self._is_final(state, fresh=first):
            return self._outcome(dependency, message, None, tried=False)
        self._waiting.setdefault(dependency, {})[item.id] = fresh
        if first and not in_retry_after(state, now):
            state, moment = reserved(state, now, wait)
            self._keep(dependency, state)
            if moment is not None:
                return self._outcome(dependency, message, moment, tried=False)
            wait = RULE.cap
        elif not fresh:
            wait = self._wait(dependency, state, now, wait)
        return self._outcome(dependency, message, wait * (1.0 + self.chance()), tried=False)

    def _wait(self, dependency: Dependency, state: Breaker, now: float, wait: float) -> float:
        """Seconds until the next attempt at an item that failed. Items that never failed have reserved times; it is
        tried between them, less often the more items wait."""
        if in_retry_after(state, now) or is_open(state):
            return wait
        return min(wait, max(RULE.base, state.until - now, EACH * len(self._waiting.get(dependency, ()))))

    def _is_final(self, state: Breaker, *, fresh: bool = False) -> bool:
        """Whether no further attempt is due, in a program that ends."""
        if fresh:
            return state.failures >= MOST_FAILURES and self.tries < math.inf
        return state.opened >= self.tries

    def _outcome(self, dependency: Dependency, message: str, retry_in: float | None, *, tried: bool = True) -> Outcome:
        return Outcome(
            state=State.RETRYING, reason=dependency[0], message=message, retry_in=retry_in, tried=tried, counts=False
        )


def _turned_away(message: str, wait: float) -> Outcome:
    """The outcome of an item that waits for its turn at a store or host with a limit: no fault of anyone."""
    return Outcome(
        state=State.RETRYING, reason=Reason.SCHEDULE, message=message, retry_in=wait, tried=False, counts=False
    )


def _limit_of(dependency: Dependency) -> str:
    """The name of its limit of calls: a store has one, as destination and as source."""
    return dependency[1].removeprefix("source ")


def _dependencies(item: Item) -> list[Dependency]:
    return [_store(item), *_hosts(item)]


def _hosts(item: Item) -> list[Dependency]:
    host = None
    if isinstance(item.origin, Url):
        name = host_of(item.origin.text)
        host = name and f"host {name}"
    elif isinstance(item.origin, S3Object):
        host = f"source store {item.origin.at.store!r}"
    return [(Reason.SOURCE_UNAVAILABLE, host)] if host else []


def _store(item: Item) -> Dependency:
    return Reason.STORE_UNAVAILABLE, f"store {item.destination.store!r}"
