"""The client of webhooks against real sockets: its deadline, its address rules, and no secret in what it reports."""

import asyncio
import socket
import ssl
import sys
import time
from pathlib import Path

import pytest

from mirrord.engine.clock import SystemClock
from mirrord.notify.client import WebhookClient
from mirrord.planning.notifications.delivery import Reply
from tests.support.command import environment
from tests.support.http_proxy import http_proxy, tls_front
from tests.support.proxy import SELF_SIGNED, self_signed
from tests.support.webhook_receiver import WebhookReceiver

BODY = b'{"id":"1","type":"item.stale","subject":"s"}'


async def post(url: str, deadline: float = 5.0) -> Reply:
    async with WebhookClient(SystemClock(), deadline=deadline) as client:
        return await client.post(url, {"X-A": "b"}, BODY)


async def test_a_status_and_retry_after_are_reported_and_a_redirect_is_not_followed() -> None:
    receiver = WebhookReceiver()
    async with receiver.here():
        assert (await post(receiver.url())).status == 204
        receiver.answer = lambda _: 429
        receiver.extra = {"Retry-After": "120"}
        assert await post(receiver.url()) == Reply(429, retry_after=120.0)
        receiver.answer = lambda _: 307
        receiver.extra = {"Location": receiver.url("/elsewhere")}
        assert (await post(receiver.url())).status == 307
    assert [one.path for one in (*receiver.received, *receiver.refused)] == ["/hook"] * 3
    assert (await post(receiver.url("/SECRET"))).problem == "cannot connect: Connection refused"


async def test_a_receiver_that_does_not_answer_costs_no_more_than_the_deadline() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        began = time.monotonic()
        reply = await post(f"http://127.0.0.1:{listening.getsockname()[1]}/SECRET", deadline=0.3)
        assert reply == Reply(None, "no answer within 0.3 s")
        assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "host",
    ["169.254.169.254", "[fe80::1]", "[fd00:ec2::254]", "100.100.100.200", "[::ffff:169.254.169.254]"],
)
async def test_link_local_and_metadata_addresses_are_refused(host: str) -> None:
    reply = await post(f"http://me:SECRET@{host}/latest?SECRET")
    assert reply.status is None
    assert "link-local or cloud-metadata" in reply.problem
    assert "SECRET" not in reply.problem


@pytest.mark.parametrize("url", ["http://nowhere.invalid/SECRET", "http://h:99999/SECRET"])
async def test_a_fault_is_told_without_the_url(url: str) -> None:
    reply = await post(url)
    assert reply.status is None
    assert reply.problem
    assert "SECRET" not in reply.problem


async def test_tls_that_fails_is_told_as_it_is() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Path(__file__).parents[1] / "support" / "selfsigned.pem")
    async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context) as server:
        reply = await post(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/SECRET")
        assert reply.problem.startswith("its TLS certificate is not valid: ")

    async def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        reply = await post(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/SECRET")
        assert reply == Reply(None, "TLS failed: WRONG_VERSION_NUMBER")


async def test_the_environments_proxy_is_used_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    receiver = WebhookReceiver()
    async with receiver.here(), http_proxy(credentials="me:pass") as proxy:
        far = receiver.url().replace("127.0.0.1", "far.invalid")
        monkeypatch.setenv("HTTP_PROXY", proxy.url_with("me:pass"))
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        assert (await post(far)).status == 204
        assert proxy.requests == [("POST", far)]
        assert (await post(receiver.url())).status == 204
        assert (await post("https://far.invalid/SECRET")).problem == f"the proxy {proxy.url} answered 407"
        assert "metadata" in (await post("http://169.254.169.254/SECRET")).problem
        assert "metadata" in (await post("http://100.100.100.200/SECRET")).problem
        assert len(proxy.requests) == 2
    assert (await post(far)).problem == f"the proxy {proxy.url} does not answer"


POSTING = """
import sys, uvloop
from mirrord.engine.clock import SystemClock
from mirrord.notify.client import WebhookClient

async def main():
    async with WebhookClient(SystemClock()) as client:
        for url in sys.argv[1:]:
            reply = await client.post(url, {}, b"{}")
            print(reply.status, reply.problem, *client.used_proxies.problems().values())

uvloop.run(main())
"""


async def posted(home: Path, *urls: str, **env: str) -> list[str]:
    """A line for each reply, and what is noted of the proxy, in a process with this environment."""
    given = environment(home, env)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", POSTING, *urls, env=given, stdout=asyncio.subprocess.PIPE
    )
    return (await process.communicate())[0].decode().splitlines()


@pytest.mark.parametrize("secure_proxy", [False, True])
async def test_a_secure_receiver_behind_each_kind_of_proxy(tmp_path: Path, secure_proxy: bool) -> None:
    """SSL_CERT_FILE adds the authority: then only the name of the certificate is wrong, and no byte was sent."""
    receiver = WebhookReceiver()
    async with (
        receiver.here(),
        tls_front(receiver.port, self_signed()) as front,
        http_proxy(credentials="me:s3cret", tls=self_signed() if secure_proxy else None) as proxy,
    ):
        plain, secure = receiver.url().replace("127.0.0.1", "far.invalid"), front.replace("localhost", "far.invalid")
        through = {"ALL_PROXY": proxy.url_with("me:s3cret")}
        trusted = await posted(tmp_path, plain, secure, **through, SSL_CERT_FILE=str(SELF_SIGNED))
        others = await posted(tmp_path, plain, secure, **through)
        requests = len(proxy.requests)
        exempt = {**through, "NO_PROXY": "x.invalid, .invalid", "SSL_CERT_FILE": str(SELF_SIGNED)}
        direct = await posted(tmp_path, f"{front}/hook", plain, **exempt)
    assert direct == ["204 ", "None the host name does not resolve"], "no proxy for loopback, nor for an exempt name"
    assert len(proxy.requests) == requests
    assert trusted[0] == "204  "
    assert trusted[1].startswith("None its TLS certificate is not valid: Hostname mismatch")
    fault = "has no valid TLS certificate"
    if secure_proxy:
        assert others == [f"None the proxy {proxy.url} {fault} {fault}"] * 2
    else:
        assert others == ["204  ", "None its TLS certificate is not valid: self-signed certificate "]
    assert "s3cret" not in "".join(trusted + others)
    assert len(receiver.received) == 2 + (not secure_proxy)
