"""The signatures of webhooks, verified by the reference implementation of Standard Webhooks for Python."""

import json
from pathlib import Path

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from tests.support.daemon import running, store_section
from tests.support.origin import Origin, answers
from tests.support.webhook_receiver import SECRET, WebhookReceiver
from tests.support.weed import Server

PLAIN = "a-plain-secret"


async def test_the_reference_implementation_accepts_what_run_sends(
    tmp_path: Path, weed: Server, bucket: str, origin: Origin
) -> None:
    origin.behave("/a", answers(404))
    receiver = WebhookReceiver()
    async with receiver.here():
        notify = [
            {"url": receiver.url("/base64"), "secret": SECRET},
            {"url": receiver.url("/plain"), "secret": PLAIN},
        ]
        (tmp_path / "m.yaml").write_text(
            f"daemon: {{notify: {json.dumps(notify)}}}\n{store_section(weed)}"
            f"mirrors: {{'{origin.url('/a')}': 's3://{bucket}/ü'}}\n"
        )
        async with running(tmp_path, str(tmp_path / "m.yaml")) as daemon:
            await daemon.wait_for(lambda: len(receiver.received) == 2)
            assert await daemon.stop() == 0
    public = {"/base64": Webhook(SECRET), "/plain": Webhook(PLAIN.encode())}
    for one in receiver.received:
        assert public.pop(one.path).verify(one.body, one.headers) == one.event
        with pytest.raises(WebhookVerificationError):
            Webhook(b"another key").verify(one.body, one.headers)
