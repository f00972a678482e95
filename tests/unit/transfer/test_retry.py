"""The retry loop: which errors are retried, how long it waits, and when it ends."""

import pytest

from mirrord.errors import MirrordError, StoreDenied, StoreUnavailable
from mirrord.planning.timing.backoff import Backoff
from mirrord.transfer.retry import Failures, RetryPolicy

AWAY = StoreUnavailable("away")


class Calls:
    """Fails with each of `errors`, then returns the number of calls. Records the pauses."""

    def __init__(self, *errors: MirrordError) -> None:
        self.errors = list(errors)
        self.count = 0
        self.waited: list[float] = []
        self.policy = RetryPolicy(rule=Backoff(base=1, cap=8, tries=3), sleep=self.sleep, chance=lambda: 0.5)

    async def sleep(self, seconds: float) -> None:
        self.waited.append(seconds)

    async def call(self) -> int:
        self.count += 1
        if self.errors:
            raise self.errors.pop(0)
        return self.count


def unavailable(error: MirrordError) -> bool:
    return isinstance(error, StoreUnavailable)


async def test_a_call_is_repeated_until_it_succeeds() -> None:
    calls = Calls(AWAY, AWAY)
    assert await calls.policy.run(calls.call, unavailable) == 3
    assert calls.waited == [0.5, 1.0]


async def test_the_last_error_is_raised_without_a_pause_after_it() -> None:
    last = StoreUnavailable("still away")
    calls = Calls(AWAY, AWAY, last, AWAY)
    with pytest.raises(StoreUnavailable) as raised:
        await calls.policy.run(calls.call, unavailable)
    assert raised.value is last
    assert calls.waited == [0.5, 1.0]


async def test_an_error_that_is_not_retryable_is_raised_at_once() -> None:
    calls = Calls(StoreDenied("no"))
    with pytest.raises(StoreDenied):
        await calls.policy.run(calls.call, unavailable)
    assert (calls.count, calls.waited) == (1, [])


async def test_the_pause_is_at_least_retry_after() -> None:
    calls = Calls(StoreUnavailable("slow down", retry_after=7.0))
    await calls.policy.run(calls.call, unavailable)
    assert calls.waited == [7.5]


async def test_failures_of_several_calls_count_together_until_there_is_progress() -> None:
    calls = Calls(AWAY)
    failures = Failures()
    await calls.policy.run(calls.call, unavailable, failures)
    calls.errors = [AWAY, AWAY]
    with pytest.raises(StoreUnavailable):
        await calls.policy.run(calls.call, unavailable, failures)
    failures.count = 0
    calls.errors = [AWAY, AWAY]
    await calls.policy.run(calls.call, unavailable, failures)
    assert calls.waited == [0.5, 1.0, 0.5, 1.0]
