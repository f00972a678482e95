"""Opens the SDK's clients for a declared store (`StoreOptions`) and closes them.

Owns region, addressing, proxy, TLS and the settings of the clients. The SDK's own retries, checksums, redirects and
`Expect: 100-continue` are off: retries are policy above the port (a write that the SDK retries causes false conflicts
and orphan uploads, FIELD_NOTES 3 and 4), checksums are computed here (7), the SDK's search for the region of a bucket
may not end if a store redirects without a region, and an Expect without an answer hangs (1). `store` makes the calls;
with `wire: auto`, `wire` sends the frequent ones.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from functools import cache, partial
from ipaddress import ip_address
from os import environ
from typing import TYPE_CHECKING, Any, Self, cast
from urllib.parse import urlsplit

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore import UNSIGNED
from botocore.exceptions import BotoCoreError
from botocore.handlers import add_expect_header
from botocore.httpsession import ProxyConfiguration
from botocore.loaders import Loader, create_loader
from botocore.utils import get_environ_proxies

from mirrord._version import __version__
from mirrord.declared import StoreOptions
from mirrord.model import ProviderName, StoredObject, shown
from mirrord.providers import Provider, profile
from mirrord.s3.answers.transport import from_transport
from mirrord.s3.authorities import CertificateAuthorities
from mirrord.s3.body_request import BodyRequest, send_by_sdk
from mirrord.s3.bounded_calls import DEADLINE
from mirrord.s3.call import StoreCall
from mirrord.s3.correcting_client import CorrectingClient, CreateBucket, OpenClient, RegionClients, SendBody
from mirrord.s3.credentials import StoreCredentials, aws_session, security_files
from mirrord.s3.http_session import HttpSession
from mirrord.s3.regions import endpoint_in
from mirrord.s3.security import StoreSecurity
from mirrord.s3.store import NOT_OPEN, ClientStore
from mirrord.s3.wire.frequent_calls import Connect, FrequentCalls
from mirrord.s3.wire.http import WireClient
from mirrord.s3.wire.operations import answer_date
from mirrord.s3.wire.pool import CONNECTIONS, ConnectionLimit
from mirrord.s3.wire.sdk_signer import SdkSigner
from mirrord.s3.wire.store_signing import StoreSigning

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client

CONNECT_TIMEOUT = 10.0
"""Seconds."""
FALLBACK_REGION = "us-east-1"
AWS = "https://s3.amazonaws.com"
_SCHEME_BEHIND = re.compile(r"https?://[A-Za-z][A-Za-z0-9+.-]*://")


class S3Store(ClientStore):
    """One declared store: `async with S3Store(options) as store`. It opens nothing before.

    Entering sends no request. It raises StoreDenied (no such profile) or StoreRefused (an endpoint or ca_file that
    cannot be used). `deadline` is the base, in seconds, of the limit of each call. The frequent calls use at
    most `connections` sockets, for all buckets and regions; the others as many in each region.
    """

    repairs_xml = True

    def __init__(self, options: StoreOptions, *, deadline: float = DEADLINE, connections: int = CONNECTIONS) -> None:
        super().__init__(None, provider_of(options), name=options.name, deadline=deadline)
        self._options = options
        self._connections = connections
        self._correcting: CorrectingClient | None = None
        self._contexts = AsyncExitStack()

    @staticmethod
    def over(
        client: "S3Client",
        provider: Provider | None = None,
        *,
        name: str = "default",
        deadline: float = DEADLINE,
    ) -> ClientStore:
        """The same calls over a client that the caller opened, configured and will close."""
        return ClientStore(client, provider or profile(ProviderName.GENERIC), name=name, deadline=deadline)

    async def __aenter__(self) -> Self:
        with self._opening():
            self._calls = replace(self._calls, proxy=proxy_of(self._options.endpoint_url))
            opened = _correcting_client(self._options, self._connections, self._create_declared_bucket)
            client = await self._contexts.enter_async_context(opened)
        self._open_client, self._correcting = cast("S3Client", client), client
        return self

    async def __aexit__(self, *_: object) -> None:
        self._open_client = self._correcting = None
        await self._contexts.aclose()

    async def _create_declared_bucket(self, bucket: str) -> bool:
        """Create a bucket that the manifest declares with `create` and that was deleted since the start."""
        declared = self._options.buckets.get(bucket)
        if declared is None or not declared.create:
            return False
        return await self.ensure_bucket(bucket, region=declared.region, versioning=declared.versioning)

    @property
    def version(self) -> int:
        """How many times keys or certificates were replaced while the store was open."""
        return self._correcting.security.version if self._correcting else 0

    async def reload_changed(self) -> None:
        """Use keys and certificates whose files changed. Each call does so too, at most once a second."""
        if self._correcting:
            await self._correcting.security.reload_changed()

    async def reload(self) -> None:
        """Read keys and certificates again, also those that have no file (`credential_process`).

        Raises the errors of entering; then those before stay in use."""
        if self._correcting:
            with self._opening():
                await self._correcting.security.reload()

    def _send_body(self, request: BodyRequest) -> Awaitable[StoredObject]:
        if self._correcting is None:
            raise RuntimeError(NOT_OPEN)
        return self._correcting.send_body(request)

    @contextmanager
    def _opening(self) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ValueError) as error:
            raise from_transport(StoreCall("opening", self._options.name), error) from error


def provider_of(options: StoreOptions) -> Provider:
    """The profile of the provider. A checksum kind in the manifest replaces that of the profile."""
    known = profile(options.provider)
    return known if options.checksum is None else replace(known, checksum=options.checksum)


def signs_payload(options: StoreOptions) -> bool:
    """Whether bodies have a signed sha256. With `auto` only without TLS, and not on loopback."""
    chosen = options.requests.payload_signing
    if chosen != "auto":
        return chosen == "always"
    return not uses_tls(options.endpoint_url) and not is_loopback(options.endpoint_url)


def uses_tls(endpoint_url: str | None) -> bool:
    return urlsplit(endpoint_url or AWS).scheme == "https"


def is_loopback(endpoint_url: str | None) -> bool:
    host = (urlsplit(endpoint_url or AWS).hostname or "").rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def proxies_of(endpoint_url: str | None) -> dict[str, str]:
    """The proxies of the environment by scheme (HTTP_PROXY, HTTPS_PROXY, NO_PROXY). Empty for loopback."""
    return {} if is_loopback(endpoint_url) else get_environ_proxies(endpoint_url or AWS)


def proxy_of(endpoint_url: str | None) -> str | None:
    """The URL, without userinfo, of the proxy for an endpoint; None: no proxy. Errors name it.

    ValueError: it is not an HTTP proxy, or it is unclear where its password ends."""
    url = _proxy_with_userinfo(endpoint_url)
    if not url:
        return None
    if _SCHEME_BEHIND.match(url):  # the SDK puts http:// before a scheme that it does not support
        raise ValueError(f"the environment's proxy {shown(url.partition('://')[2])} is not http:// or https://")
    if re.search("[/?#].*@", url.partition("://")[2]):
        raise ValueError(f"the environment's proxy {shown(url)}: write / ? # in its user or password as %2F %3F %23")
    return shown(url)


def _proxy_with_userinfo(endpoint_url: str | None) -> str | None:
    url: str | None = ProxyConfiguration(proxies_of(endpoint_url)).proxy_url_for(endpoint_url or AWS)
    return url


def client_config(options: StoreOptions, connections: int = CONNECTIONS) -> AioConfig:
    """The SDK's settings for a store. There is no read timeout: `bounded_calls` limits each call."""
    http_session: Any = HttpSession
    return AioConfig(
        signature_version=UNSIGNED if _is_anonymous(options) else None,
        retries={"total_max_attempts": 1},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=None,
        max_pool_connections=connections,
        user_agent=f"mirrord/{__version__}",
        http_session_cls=http_session,
        proxies=proxies_of(options.endpoint_url),
        # The identity of an item contains the endpoint of the manifest; AWS_ENDPOINT_URL must not replace it.
        ignore_configured_endpoint_urls=True,
        s3={"addressing_style": options.requests.addressing, "payload_signing_enabled": signs_payload(options)},
    )


def _is_anonymous(options: StoreOptions) -> bool:
    return options.credentials is not None and options.credentials.anonymous


@cache
def _service_models() -> Loader:
    """botocore's description of S3, read once: reading it is most of the cost of a client."""
    return create_loader()


@asynccontextmanager
async def _correcting_client(
    options: StoreOptions, connections: int, create_bucket: CreateBucket
) -> AsyncIterator[CorrectingClient]:
    session = aws_session(options)
    session.register_component("data_loader", _service_models())
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=answer_date)
    credentials, authorities = StoreCredentials(options), authorities_of(options, session)
    session.register_component("credential_provider", credentials)
    region = options.region or session.get_config_variable("region") or FALLBACK_REGION
    security = StoreSecurity(options.name, credentials, authorities, security_files(options))
    await security.load(tls=bool(options.ca_file) or uses_tls(options.endpoint_url))
    open_client: OpenClient = partial(_sdk_client, session, options, connections, region, authorities)
    signing: StoreSigning | None = None
    send_body: SendBody = send_by_sdk
    if options.requests.wire != "sdk":
        adapts = options.requests.payload_signing == "auto"
        signing = StoreSigning(options.name, signs_payload=signs_payload(options), adapts=adapts)
        keys = None if _is_anonymous(options) else credentials
        send_body = FrequentCalls.send_body
        connect = partial(_wire_client, options, authorities, ConnectionLimit(connections))
        open_client = partial(_frequent_calls, open_client, keys, signing, connect)
    clients = RegionClients(open_client, send_body)
    async with CorrectingClient(options.name, region, clients, security, create_bucket, signing) as client:
        yield client


@asynccontextmanager
async def _frequent_calls(
    open_client: OpenClient,
    credentials: StoreCredentials | None,
    signing: StoreSigning,
    connect: Connect,
    region: str,
) -> AsyncIterator[FrequentCalls]:
    """The SDK's client for `region`, with our own for the frequent calls. `credentials` None: nothing is signed."""
    async with open_client(region) as client:
        if credentials is not None:
            SdkSigner(client.meta.region_name, credentials, signing).install(client.meta.events)
        async with FrequentCalls(client, credentials, signing, connect) as calls:
            yield calls


def _wire_client(
    options: StoreOptions, authorities: CertificateAuthorities, limit: ConnectionLimit, origin: str
) -> WireClient:
    return WireClient(
        origin,
        tls=authorities.context if uses_tls(origin) else None,
        proxy=_proxy_with_userinfo(options.endpoint_url),
        limit=limit,
    )


def authorities_of(options: StoreOptions, session: AioSession) -> CertificateAuthorities:
    """`ca_file`, else a file named by the AWS variables, else the system's trust store."""
    if options.ca_file:
        return CertificateAuthorities("ca_file", options.ca_file)
    if bundle := session.get_config_variable("ca_bundle"):
        return CertificateAuthorities("AWS_CA_BUNDLE", bundle)
    if bundle := environ.get("REQUESTS_CA_BUNDLE"):
        return CertificateAuthorities("REQUESTS_CA_BUNDLE", bundle)
    return CertificateAuthorities()


@asynccontextmanager
async def _sdk_client(
    session: AioSession,
    options: StoreOptions,
    connections: int,
    declared: str,
    authorities: CertificateAuthorities,
    region: str,
) -> AsyncIterator["S3Client"]:
    """A client for `region`; `declared` is the region that the endpoint of the manifest belongs to."""
    verify: Any = authorities  # the SDK passes it to HttpSession unchanged
    opened: AbstractAsyncContextManager[S3Client] = session.create_client(
        "s3",
        region_name=region,
        endpoint_url=endpoint_in(options.endpoint_url or None, declared, region),
        verify=verify,
        config=client_config(options, connections),
    )
    async with opened as client:
        client.meta.events.unregister("before-call.s3", add_expect_header)
        client.meta.events.register_last("before-parameter-build.s3", _disable_region_redirect)
        yield client


def _disable_region_redirect(context: dict[str, Any], **_: object) -> None:
    """Mark a call as redirected already. The SDK then searches no region; `CorrectingClient` does."""
    context.setdefault("s3_redirect", {})["redirected"] = True
