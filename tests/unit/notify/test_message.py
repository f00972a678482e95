"""The request of one notification: CloudEvents 1.0 in JSON, and the signature of Standard Webhooks."""

import json

from mirrord.model import Notice, Notification, OutboxRow, Secret
from mirrord.notify.message import message
from mirrord.planning.notifications.receivers import key_of
from tests.support.webhook_receiver import verified

ROW = OutboxRow(
    7,
    "r",
    0,
    Notification(
        id="msg-1",
        name=Notice.ITEM_BLOCKED,
        about="i",
        subject="s3://b/ü\udcff",
        time=1_700_000_000.25,
        data='{"message":"ü"}',
    ),
)


def test_an_event_has_the_attributes_of_cloudevents() -> None:
    made = message(ROW, "//host/mirrord", None, 1_700_000_100.9)
    assert json.loads(made.body) == {
        "specversion": "1.0",
        "id": "msg-1",
        "source": "//host/mirrord",
        "type": "item.blocked",
        "subject": "s3://b/ü?",
        "time": "2023-11-14T22:13:20.250Z",
        "sequence": "00000000000000000007",
        "datacontenttype": "application/json",
        "data": {"message": "ü"},
    }
    assert made.headers["Content-Type"] == "application/cloudevents+json; charset=utf-8"
    assert (made.headers["webhook-id"], made.headers["webhook-timestamp"]) == ("msg-1", "1700000100")
    assert "webhook-signature" not in made.headers


def test_each_attempt_has_the_same_body_and_its_own_time() -> None:
    first, second = message(ROW, "s", b"k", 1.0), message(ROW, "s", b"k", 2.0)
    assert first.body == second.body
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


def test_the_signature_is_that_of_the_public_libraries() -> None:
    """The example of the reference implementations (standardwebhooks 1.1.0 for Python)."""
    from mirrord.notify import message as module

    key = key_of(Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
    headers = module._signed("msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', key, 1614265330.0)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_plain_secret_is_taken_as_it_is(monkeypatch) -> None:
    monkeypatch.setattr("time.time", lambda: 5.0)
    for secret in ("plain-secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"):
        made = message(ROW, "s", key_of(Secret(secret)), 5.0)
        assert verified({name.lower(): value for name, value in made.headers.items()}, made.body, secret)
        assert not verified({name.lower(): value for name, value in made.headers.items()}, made.body + b" ", secret)
