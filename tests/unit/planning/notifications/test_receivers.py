"""The `notify` section: what is accepted, what it becomes, and that nothing of it is shown."""

import pytest

from mirrord.errors import ManifestError
from mirrord.manifest.manifest import Manifest
from mirrord.model import DEFAULT_NOTICES, Notice, Secret
from mirrord.planning.notifications.receivers import heartbeats_of, key_of, webhooks_of
from mirrord.web.as_json import as_json


def parsed(notify: str):
    block = Manifest.parse("m.yaml", f"daemon: {{notify: {notify}}}".encode(), {}).document.daemon
    assert block is not None
    return block


def test_a_webhook_has_the_default_events_and_its_url_as_identity() -> None:
    block = parsed("[{url: 'https://me:PW@h.example:8443/PATH?QUERY', secret: whsec_c2VjcmV0, headers: {X-A: HEADER}}]")
    (webhook,) = webhooks_of(block).values()
    assert webhook.notices == frozenset(DEFAULT_NOTICES)
    assert webhook.secret == Secret("whsec_c2VjcmV0")
    assert webhook.shown == "https://h.example:8443/…"
    shown = repr(webhook) + str(as_json(webhook)) + repr(block)
    assert not [word for word in ("PW", "PATH", "QUERY", "HEADER", "c2VjcmV0") if word in shown]
    assert list(webhooks_of(block)) == [webhook.id]
    assert heartbeats_of(block) == {}


def test_events_and_heartbeats() -> None:
    block = parsed("[{url: 'https://h/x', events: [item.synced, manifest.rejected]}, {heartbeat: 'https://h/p'}]")
    assert [one.notices for one in webhooks_of(block).values()] == [{Notice.ITEM_SYNCED, Notice.MANIFEST_REJECTED}]
    (beat,) = heartbeats_of(block).values()
    assert (beat.every, beat.shown) == (300.0, "https://h/…")


@pytest.mark.parametrize(
    ("notify", "path", "words"),
    [
        ("[{}]", "daemon.notify[0]", "give url"),
        ("[{events: [item.synced]}]", "daemon.notify[0]", "give url"),
        ("[{url: 'https://h/x', heartbeat: 'https://h/y'}]", "daemon.notify[0].heartbeat", "keep one"),
        ("[{url: 'https://h/x', every: 5m}]", "daemon.notify[0].every", "only beside heartbeat"),
        ("[{heartbeat: 'https://h/x', secret: s}]", "daemon.notify[0].secret", "only beside url"),
        ("[{heartbeat: 'https://h/x', events: [item.stale]}]", "daemon.notify[0].events", "only beside url"),
        ("[{url: 'https://h/x'}, {url: 'https://h/x'}]", "daemon.notify[1].url", "given before"),
        ("[{url: 'https://h/x', events: []}]", "daemon.notify[0].events", "at least one"),
        ("[{url: 'https://h/x', events: [item.sinced]}]", "daemon.notify[0].events[0]", "item.synced"),
        ("[{url: 'https://h/x', secret: 'whsec_%%%'}]", "daemon.notify[0].secret", "base64"),
        ("[{url: 'https://h/x', secret: 'whsec_A'}]", "daemon.notify[0].secret", "base64"),
        ("[{url: 'https://h/x', secret: 'whsec_'}]", "daemon.notify[0].secret", "base64"),
        ("[{url: 'ftp://h/x'}]", "daemon.notify[0].url", "http"),
    ],
)
def test_a_fault_is_named_at_its_place(notify: str, path: str, words: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parsed(notify)
    (problem,) = caught.value.problems
    assert problem.path == path
    assert words in problem.message


@pytest.mark.parametrize("entry", ["mirrors: [{url: https://h/x, to: s3://bbb/x, stale_after: 59m}]"])
def test_stale_after_is_at_least_an_hour(entry: str) -> None:
    with pytest.raises(ManifestError, match="from 1h00m to 10 years"):
        Manifest.parse("m.yaml", entry.encode(), {})


@pytest.mark.parametrize(
    ("secret", "key"),
    [
        ("plain", b"plain"),
        ("whsec_c2VjcmV0", b"secret"),
        ("whsec_c2VjcmV0cw==", b"secrets"),
        ("whsec_c2VjcmV0cw", b"secrets"),
    ],
)
def test_the_key_of_a_secret(secret: str, key: bytes) -> None:
    assert key_of(Secret(secret)) == key
