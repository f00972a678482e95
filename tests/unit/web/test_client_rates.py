"""How many requests one client may send: at once, on average, beside others."""

from mirrord.web import client_rates
from mirrord.web.client_rates import ClientRates


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> int:
        return round(self.now * 1e9)


def test_a_client_sends_some_at_once_and_then_at_the_average() -> None:
    clock = Clock()
    rates = ClientRates(10, 3, clock)
    assert [rates.seconds_until("a") for _ in range(3)] == [0.0] * 3
    assert rates.seconds_until("a") == 0.1
    assert rates.seconds_until("a") == 0.1, "a refused request does not count"
    clock.now += 0.11
    assert rates.seconds_until("a") == 0.0
    assert rates.seconds_until("a") > 0
    clock.now += 60
    assert [rates.seconds_until("a") for _ in range(3)] == [0.0] * 3, "no more than these, however long it was silent"
    assert rates.seconds_until("a") > 0


def test_one_client_does_not_count_for_another() -> None:
    rates = ClientRates(10, 1, Clock())
    assert [rates.seconds_until(one) > 0 for one in ("a", "a", "b", "", "b")] == [False, True, False, False, True]


def test_the_client_that_was_silent_longest_is_forgotten() -> None:
    rates = ClientRates(10, 1, Clock())
    names = [f"{number}" for number in range(client_rates.MOST_CLIENTS)]
    assert not any(rates.seconds_until(name) for name in names)
    assert rates.seconds_until("0") > 0
    assert rates.seconds_until("one more") == 0.0  # for it, 1 is forgotten
    assert rates.seconds_until("0") > 0
    assert rates.seconds_until("1") == 0.0
