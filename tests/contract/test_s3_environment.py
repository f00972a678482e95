"""The environment variables and files that a store uses: proxies except on loopback, certificate authorities with TLS,
AWS files if the store declares no keys."""

import asyncio
import os
import ssl
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from mirrord.declared import Credentials, StoreOptions
from mirrord.errors import MirrordError, StoreDenied, StoreRefused, StoreUnavailable
from mirrord.model import ConnectionOptions, Destination, ObjectOptions, Secret
from mirrord.s3.policies import is_loopback, proxy_of
from mirrord.s3.session import S3Store
from tests.support.elsewhere import refusal, serving
from tests.support.http_proxy import http_proxy
from tests.support.proxy import SELF_SIGNED, self_signed
from tests.support.weed import Server
from tests.support.wires import request_options

pytestmark = pytest.mark.usefixtures("both_wires")

AT = Destination("far", "http://far", "data", "k")
KEYS = Credentials.of("AKIA", "s")
NOBODY = "http://user:pass-word@127.0.0.1:9"  # discard: nobody listens


@pytest.fixture(autouse=True)
def nothing_ambient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("AWS_") or name.upper().endswith(("_PROXY", "CA_BUNDLE")):
            monkeypatch.delenv(name)


def far(scheme: str = "http", **more: object) -> StoreOptions:
    """A store that can be reached only through a proxy."""
    return StoreOptions(
        name="far", endpoint_url=f"{scheme}://store.invalid", credentials=KEYS, requests=request_options(), **more
    )  # type: ignore[arg-type]


async def put(options: StoreOptions, at: Destination = AT) -> None:
    async with S3Store(options) as store:
        await store.put_object(at, memoryview(b"x"), ObjectOptions())


# ── proxies ───────────────────────────────────────────────────────────────────────────────────────
VARIABLES = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"]


@pytest.mark.parametrize("name", VARIABLES)
async def test_no_proxy_is_used_for_a_store_on_loopback(
    weed: Server, bucket: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, NOBODY)
    await put(weed.options(), weed.destination(bucket, "k"))
    await put(
        weed.options(endpoint_url=weed.endpoint_url.replace("127.0.0.1", "localhost")), weed.destination(bucket, "k")
    )


@pytest.mark.parametrize(
    ("endpoint", "loopback"),
    [
        ("http://127.0.0.1:1", True),
        ("http://127.9.9.9", True),
        ("https://localhost", True),
        ("http://bucket.localhost:9000", True),
        ("http://localhost.:9000", True),
        ("http://[::1]:9000", True),
        ("http://10.0.0.1", False),
        ("https://localhost.example", False),
        (None, False),
        ("", False),
    ],
)
def test_what_is_loopback(endpoint: str | None, loopback: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", NOBODY)
    monkeypatch.setenv("HTTPS_PROXY", NOBODY)
    assert is_loopback(endpoint) is loopback
    proxy = proxy_of(StoreOptions(name="s", endpoint_url=endpoint))
    assert (proxy and proxy.shown) == (None if loopback else "http://127.0.0.1:9")


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_does_not_answer_is_named_without_its_password(
    monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setenv(f"{scheme.upper()}_PROXY", NOBODY)
    with pytest.raises(StoreUnavailable, match=r"the proxy http://127.0.0.1:9: the proxy does not answer") as it:
        await put(far(scheme))
    assert "pass-word" not in str(it.value)


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (407, StoreRefused, "set the proxy's user and password"),
        (502, MirrordError, "HTTP 502 Bad Gateway"),
        (503, StoreUnavailable, "HTTP 503 Service Unavailable"),
        (403, StoreDenied, "a web page, not S3"),
    ],
)
async def test_the_error_names_a_proxy_that_answers_instead_of_the_store(
    monkeypatch: pytest.MonkeyPatch, status: int, kind: type[MirrordError], words: str
) -> None:
    asked: list[str] = []

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        asked.append(request.method)
        return web.Response(status=status, body=b"<html>no", content_type="text/html")

    async with serving(answer) as place:
        monkeypatch.setenv("HTTP_PROXY", place)  # without a scheme, as many write it
        monkeypatch.setenv("HTTPS_PROXY", f"http://{place}")
        with pytest.raises(kind, match=f"through the proxy http://{place}.*{words}"):
            await put(far())
        with pytest.raises(StoreUnavailable, match=f"through the proxy http://{place}: the proxy answered {status}"):
            await put(far("https"))
    assert asked[-1] == "CONNECT"


@pytest.mark.parametrize("userinfo", ["user:pass-word", "user:pass-word/x", "user:x?pass-word", "pass-word#x:y"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_no_error_has_the_password_of_a_proxy(
    monkeypatch: pytest.MonkeyPatch, scheme: str, userinfo: str
) -> None:
    """Neither of a proxy that speaks no HTTP, nor of one whose URL is not valid because of its password."""

    async def odd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"odd pass-word\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(odd, "127.0.0.1", 0)
    async with server:
        place = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        monkeypatch.setenv(f"{scheme.upper()}_PROXY", f"http://{userinfo}@{place}")
        with pytest.raises(MirrordError) as caught:
            await put(far(scheme))
    assert "pass-word" not in str(caught.value)


async def test_a_proxy_gets_the_call_and_its_own_password(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, str]] = []

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        seen.append((request.raw_path, request.headers.get("Proxy-Authorization", "")))
        return web.Response(headers={"ETag": '"0"'})

    async with serving(answer) as place:
        monkeypatch.setenv("HTTP_PROXY", f"http://user:pass-word@{place}")
        await put(far())
    assert seen == [("http://store.invalid/data/k", "Basic dXNlcjpwYXNzLXdvcmQ=")]


async def test_a_proxy_of_an_unknown_kind_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for userinfo in ("", "user:pass-word@"):
        monkeypatch.setenv("HTTP_PROXY", f"socks5://{userinfo}127.0.0.1:1080")
        with pytest.raises(
            StoreRefused,
            match=r"proxy socks5://127.0.0.1:1080 cannot be used: mirrord supports http",
        ):
            await put(far())


async def test_a_declared_proxy_wins_and_none_is_none(
    monkeypatch: pytest.MonkeyPatch, weed: Server, bucket: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", NOBODY)
    with pytest.raises(StoreUnavailable, match="PutObject"):
        await put(far(connection=ConnectionOptions(proxy=Secret("none"))))
    async with http_proxy(credentials="me:p@ss") as proxy:
        declared = ConnectionOptions(proxy=Secret(proxy.url_with("me:p%40ss")))
        await put(weed.options(connection=declared), weed.destination(bucket, "k"))
        assert proxy.requests[0][1].startswith(weed.endpoint_url)
        await put(weed.options(connection=ConnectionOptions(proxy=Secret("none"))), weed.destination(bucket, "k"))
    assert len(set(proxy.requests)) == 1


async def test_client_certificate_and_tls_minimum() -> None:
    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(headers={"ETag": '"0"'})

    demanding = self_signed()
    demanding.verify_mode = ssl.CERT_REQUIRED
    demanding.load_verify_locations(SELF_SIGNED)
    demanding.maximum_version = ssl.TLSVersion.TLSv1_2
    async with serving(answer, ssl_context=demanding) as place, http_proxy() as proxy:
        url, ca = f"https://localhost:{place.partition(':')[2]}", str(SELF_SIGNED)

        def declared(**more: Any) -> StoreOptions:
            return replace(far("https", connection=ConnectionOptions(ca_file=ca, **more)), endpoint_url=url)

        await put(declared(client_cert=ca))
        await put(declared(client_cert=ca, proxy=Secret(proxy.url)))
        assert {method for method, _ in proxy.requests} == {"CONNECT"}
        for less in ({}, {"client_cert": ca, "tls_min": "1.3"}):
            with pytest.raises(MirrordError):
                await put(declared(**less))
        with pytest.raises(StoreRefused, match=r"client_cert /no/such.pem cannot be read"):
            await put(declared(client_cert="/no/such.pem"))


# ── certificates ──────────────────────────────────────────────────────────────────────────────────
BUNDLES = ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"]


@pytest.mark.parametrize("name", BUNDLES)
async def test_a_bundle_is_not_read_for_http(
    weed: Server, bucket: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "/no/such/bundle.pem")
    await put(weed.options(), weed.destination(bucket, "k"))


@pytest.mark.parametrize("name", BUNDLES)
@pytest.mark.parametrize("content", [None, "", "nothing\n", "-----BEGIN CERTIFICATE-----\nAAAA\n"])
async def test_a_bundle_without_a_certificate_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, content: str | None
) -> None:
    file = tmp_path / "bundle.pem"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv(name, str(file))
    with pytest.raises(StoreRefused, match=f"{name} {file} (holds no certificate|cannot be read)"):
        await put(far("https"))


@pytest.mark.parametrize("content", ["", "nothing\n", "-----BEGIN CERTIFICATE-----\nAAAA\n"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_ca_file_without_a_certificate_is_named(tmp_path: Path, content: str, scheme: str) -> None:
    file = tmp_path / "ca.pem"
    file.write_text(content)
    with pytest.raises(StoreRefused, match=f"ca_file {file} holds no certificate"):
        await put(far(scheme, connection=ConnectionOptions(ca_file=str(file))))


@pytest.mark.parametrize("name", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR", "ca_file"])
async def test_each_setting_of_authorities_works(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return refusal(404)

    der = ssl.PEM_cert_to_DER_cert(_certificate())
    path = str(SELF_SIGNED)
    if name == "SSL_CERT_DIR":
        (tmp_path / f"{_subject_hash()}.0").write_text(ssl.DER_cert_to_PEM_cert(der))
        path = str(tmp_path)
    given = {"connection": ConnectionOptions(ca_file=path)} if name == "ca_file" else {}
    if not given:
        monkeypatch.setenv(name, path)
    async with serving(answer, ssl_context=self_signed()) as place:
        url = f"https://localhost:{place.partition(':')[2]}"
        async with S3Store(
            StoreOptions(name="s", endpoint_url=url, credentials=KEYS, requests=request_options(), **given)
        ) as store:  # type: ignore[arg-type]
            assert await store.head_object(AT) is None


def _certificate() -> str:
    text = SELF_SIGNED.read_text()
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    return begin + text.partition(begin)[2].partition(end)[0] + end + "\n"


def _subject_hash() -> str:
    """`openssl x509 -hash`."""
    done = subprocess.run(["openssl", "x509", "-hash", "-noout"], input=_certificate(), capture_output=True, text=True)
    return done.stdout.strip()


# ── AWS files ─────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("own", [True, False], ids=["keys", "anonymous"])
@pytest.mark.parametrize("broken", ["a missing profile", "a broken config", "broken credentials"])
async def test_aws_files_are_not_read_for_a_store_with_declared_keys(
    weed: Server, bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, own: bool, broken: str
) -> None:
    (tmp_path / "config").write_text("[default\nregion" if broken == "a broken config" else "[default]\n")
    (tmp_path / "credentials").write_text("[default\nkey" if broken == "broken credentials" else "")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    if broken == "a missing profile":
        monkeypatch.setenv("AWS_PROFILE", "nobody")
    at = weed.destination(bucket, "k")
    if own:
        await put(weed.options(region=None), at)
    else:
        with pytest.raises(StoreDenied, match="AccessDenied"):
            await put(weed.options(credentials=Credentials(anonymous=True)), at)
    with pytest.raises(MirrordError, match=r"nobody|Unable to parse config file|locate credentials"):
        await put(weed.options(credentials=None), at)


@pytest.mark.parametrize(
    "name",
    [
        *("AWS_ACCOUNT_ID_ENDPOINT_MODE", "AWS_DEFAULTS_MODE", "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"),
        *("AWS_MAX_ATTEMPTS", "AWS_METADATA_SERVICE_NUM_ATTEMPTS", "AWS_METADATA_SERVICE_TIMEOUT"),
        *("AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES", "AWS_RETRY_MODE", "AWS_S3_US_EAST_1_REGIONAL_ENDPOINT"),
        *("AWS_STS_REGIONAL_ENDPOINTS",),
    ],
)
async def test_aws_variables_without_effect_are_not_read_for_a_store_with_declared_keys(
    weed: Server, bucket: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "none of its values")
    await put(weed.options(), weed.destination(bucket, "k"))
