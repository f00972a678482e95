"""What follows an attempt to deliver a notification."""

import pytest

from mirrord.planning.notifications.delivery import GIVEN_UP_AFTER, LEAST_ATTEMPTS, Reply, probe_in, retry_at

DAY = GIVEN_UP_AFTER


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_every_2xx_accepts(status: int) -> None:
    assert Reply(status).accepted


@pytest.mark.parametrize("status", [100, 199, 301, 400, 429, 500])
def test_no_other_status_accepts(status: int) -> None:
    assert not Reply(status).accepted


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413, 499])
def test_a_refusal_is_final_at_once(status: int) -> None:
    assert retry_at(Reply(status), 1, 0.0, 0.0, 0.5) is None


@pytest.mark.parametrize("reply", [Reply(500), Reply(503), Reply(429), Reply(302), Reply(None, "no answer")])
def test_what_may_pass_is_sent_again_for_a_day(reply: Reply) -> None:
    assert retry_at(reply, 1, 0.0, 10.0, 1.0) == 15.0
    assert retry_at(reply, 100, 0.0, DAY - 1, 1.0) == DAY - 1 + 3600
    assert retry_at(reply, 100, 0.0, DAY, 1.0) is None


def test_after_a_long_stop_some_attempts_are_made_first() -> None:
    assert retry_at(Reply(503), LEAST_ATTEMPTS - 1, 0.0, 3 * DAY, 0.5) is not None
    assert retry_at(Reply(503), LEAST_ATTEMPTS, 0.0, 3 * DAY, 0.5) is None


def test_retry_after_is_a_floor_for_the_notification_and_the_receiver() -> None:
    busy = Reply(429, retry_after=120.0)
    assert retry_at(busy, 1, 0.0, 0.0, 0.0) == 122.5
    assert probe_in(busy, 1, 0.0) == 120.5
    assert probe_in(Reply(503), 20, 1.0) == 60.0


def test_a_reply_says_what_it_is_without_the_address() -> None:
    assert str(Reply(302)) == "answered 302, a redirect, which is not followed"
    assert str(Reply(None, "no answer in time")) == "no answer in time"
