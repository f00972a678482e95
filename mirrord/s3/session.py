"""A store's life: from `StoreOptions` to open SDK clients, and back to nothing.

Owns region, addressing, proxy, TLS and the clients' settings. The SDK's own retries, checksums, redirects and
`Expect: 100-continue` are off: retries are policy above the port (an SDK retry of a write makes false conflicts and
orphan uploads, FIELD_NOTES 3 and 4), checksums are ours (7), its search for a bucket's region may never end where a
store redirects without naming one, and an Expect that is never answered hangs (1). Hands the calls to `store`.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import datetime
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
from botocore.utils import get_environ_proxies, parse_timestamp

from mirrord._version import __version__
from mirrord.declared import StoreOptions
from mirrord.model import ProviderName, shown
from mirrord.providers import Provider, profile
from mirrord.s3.authorities import CertificateAuthorities
from mirrord.s3.clients import Clients
from mirrord.s3.credentials import StoreCredentials, aws_session, security_files
from mirrord.s3.errors import StoreCall, from_transport
from mirrord.s3.http_session import HttpSession
from mirrord.s3.regions import endpoint_in
from mirrord.s3.store import DEADLINE, ClientStore

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client

CONNECT_TIMEOUT = 10.0
CONNECTIONS = 64
"""Sockets to one store: the default 16 transfers x 4 parts."""
FALLBACK_REGION = "us-east-1"
AWS = "https://s3.amazonaws.com"


class S3Store(ClientStore):
    """One declared store: `async with S3Store(options) as store`. Nothing is opened before that.

    Entering raises StoreDenied (no such profile) or StoreRefused (an endpoint or ca_file that cannot be used); it
    asks the store nothing. `deadline` is the base, in seconds, of every call's own limit.
    """

    reads_any_key = True

    def __init__(self, options: StoreOptions, *, deadline: float = DEADLINE) -> None:
        super().__init__(None, provider_of(options), name=options.name, deadline=deadline)
        self._options = options
        self._clients: Clients | None = None
        self._life = AsyncExitStack()

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
            self._proxy = proxy_of(self._options.endpoint_url)
            self._clients = await self._life.enter_async_context(_clients(self._options))
        self._clients.make_bucket = self._make_bucket
        self._opened = cast("S3Client", self._clients)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._opened = self._clients = None
        await self._life.aclose()

    async def _make_bucket(self, bucket: str) -> bool:
        """A declared bucket that vanished."""
        wanted = self._options.buckets.get(bucket)
        if wanted is None or not wanted.create:
            return False
        return await self.ensure_bucket(bucket, region=wanted.region, versioning=wanted.versioning)

    @property
    def version(self) -> int:
        """Counts how often keys or certificates were replaced while the store was open."""
        return self._clients.version if self._clients else 0

    async def reload_changed(self) -> None:
        """Use keys and certificates whose files changed. Each call does so too, at most once a second."""
        if self._clients:
            await self._clients.reload_changed()

    async def reload(self) -> None:
        """Read keys and certificates again, also those that no file tells of (`credential_process`).

        Raises as entering does; those before then stay in use."""
        if self._clients:
            with self._opening():
                await self._clients.reload()

    @contextmanager
    def _opening(self) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ValueError) as error:
            raise from_transport(StoreCall("opening", self._options.name), error) from error


def provider_of(options: StoreOptions) -> Provider:
    """The provider's profile, with the checksum that the manifest asks for instead of its best."""
    known = profile(options.provider)
    return known if options.checksum is None else replace(known, checksum=options.checksum)


def signs_payload(endpoint_url: str | None) -> bool:
    """Whether bodies need a signed sha256: only where the wire is neither TLS nor loopback."""
    return not secure(endpoint_url) and not is_loopback(endpoint_url)


def secure(endpoint_url: str | None) -> bool:
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
    """The proxies of the environment by scheme (HTTP_PROXY, HTTPS_PROXY, NO_PROXY). None for loopback."""
    return {} if is_loopback(endpoint_url) else get_environ_proxies(endpoint_url or AWS)


def proxy_of(endpoint_url: str | None) -> str | None:
    """The proxy before an endpoint as errors name it, without userinfo; None: there is none.

    ValueError: it is no HTTP proxy."""
    url = ProxyConfiguration(proxies_of(endpoint_url)).proxy_url_for(endpoint_url or AWS)
    if not url:
        return None
    proxy = shown(url)
    if proxy.count("://") > 1:  # the SDK puts http:// before what it does not know
        raise ValueError(f"the environment's proxy {proxy.partition('://')[2]} is not http:// or https://")
    return proxy


def client_config(options: StoreOptions) -> AioConfig:
    """The SDK's settings for a store. The HTTP client sets no read timeout: each call's own deadline bounds it."""
    http_session: Any = HttpSession
    anonymous = options.credentials is not None and options.credentials.anonymous
    return AioConfig(
        signature_version=UNSIGNED if anonymous else None,
        retries={"total_max_attempts": 1},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=None,
        max_pool_connections=CONNECTIONS,
        user_agent=f"mirrord/{__version__}",
        http_session_cls=http_session,
        proxies=proxies_of(options.endpoint_url),
        # An item's identity names the endpoint of the manifest; AWS_ENDPOINT_URL must not swap it.
        ignore_configured_endpoint_urls=True,
        s3={"addressing_style": options.addressing, "payload_signing_enabled": signs_payload(options.endpoint_url)},
    )


@cache
def _service_models() -> Loader:
    """botocore's description of S3, read once: it is most of the cost of a client."""
    return create_loader()


@asynccontextmanager
async def _clients(options: StoreOptions) -> AsyncIterator[Clients]:
    session = aws_session(options)
    session.register_component("data_loader", _service_models())
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_moment)
    keys, trust = StoreCredentials(options), trust_of(options, session)
    session.register_component("credential_provider", keys)
    region = options.region or session.get_config_variable("region") or FALLBACK_REGION
    await keys.load()
    if options.ca_file or secure(options.endpoint_url):
        await trust.load()
    open_client = partial(_client, session, options, region, trust)
    async with Clients(options.name, region, open_client, keys, trust, security_files(options)) as clients:
        yield clients


def _moment(value: Any) -> datetime | None:
    """A date of an answer. None: it cannot be read, and the rest of the answer can."""
    try:
        return parse_timestamp(value)
    except ValueError:
        return None


def trust_of(options: StoreOptions, session: AioSession) -> CertificateAuthorities:
    """What vouches for the store's certificate: `ca_file`, the AWS variables, else the system's trust store."""
    if options.ca_file:
        return CertificateAuthorities("ca_file", options.ca_file)
    if bundle := session.get_config_variable("ca_bundle"):
        return CertificateAuthorities("AWS_CA_BUNDLE", bundle)
    if bundle := environ.get("REQUESTS_CA_BUNDLE"):
        return CertificateAuthorities("REQUESTS_CA_BUNDLE", bundle)
    return CertificateAuthorities()


@asynccontextmanager
async def _client(
    session: AioSession, options: StoreOptions, declared: str, trust: CertificateAuthorities, region: str
) -> AsyncIterator["S3Client"]:
    verify: Any = trust  # the SDK hands it to HttpSession as it is
    opened: AbstractAsyncContextManager[S3Client] = session.create_client(
        "s3",
        region_name=region,
        endpoint_url=endpoint_in(options.endpoint_url or None, declared, region),
        verify=verify,
        config=client_config(options),
    )
    async with opened as client:
        client.meta.events.unregister("before-call.s3", add_expect_header)
        client.meta.events.register_last("before-parameter-build.s3", _follow_no_region)
        yield client


def _follow_no_region(context: dict[str, Any], **_: object) -> None:
    """The SDK takes a call for one that it has sent to another region already, and leaves that to `Clients`."""
    context.setdefault("s3_redirect", {})["redirected"] = True
