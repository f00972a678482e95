"""A store's life: from `StoreOptions` to an open aiobotocore client, and back to nothing.

Owns credentials, region, addressing, TLS and the client's settings. The SDK's own retries, checksums and
`Expect: 100-continue` are off: retries are policy above the port (an SDK retry of a write makes false conflicts and
orphan uploads, FIELD_NOTES 3 and 4), checksums are ours (7), and an Expect that is never answered hangs (1).
Hands the calls themselves to `store`.
"""

from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore import UNSIGNED
from botocore.exceptions import BotoCoreError
from botocore.handlers import add_expect_header
from botocore.loaders import Loader, create_loader

from mirrord._version import __version__
from mirrord.declared import Credentials, StoreOptions
from mirrord.model import ProviderName
from mirrord.providers import Provider, profile
from mirrord.s3.errors import Call, from_transport
from mirrord.s3.store import DEADLINE, ClientStore

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client

CONNECT_TIMEOUT = 10.0
CONNECTIONS = 64
"""Sockets to one store: the default 16 transfers x 4 parts."""
FALLBACK_REGION = "us-east-1"


class S3Store(ClientStore):
    """One declared store: `async with S3Store(options) as store`. Nothing is opened before that.

    Entering raises StoreDenied (no such profile) or StoreRefused (an endpoint or ca_file that cannot be used); it
    asks the store nothing. `deadline` is the base, in seconds, of every call's own limit.
    """

    def __init__(self, options: StoreOptions, *, deadline: float = DEADLINE) -> None:
        super().__init__(None, provider_of(options), name=options.name, deadline=deadline)
        self._options = options
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
        try:
            self._opened = await self._life.enter_async_context(_client(self._options))
        except (BotoCoreError, ValueError) as error:
            raise from_transport(Call("opening", self._options.name), error) from error
        self._opened.meta.events.unregister("before-call.s3", add_expect_header)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._opened = None
        await self._life.aclose()


def provider_of(options: StoreOptions) -> Provider:
    """The provider's profile, with the checksum that the manifest asks for instead of its best."""
    known = profile(options.provider)
    return known if options.checksum is None else replace(known, checksum=options.checksum)


def signs_payload(endpoint_url: str | None) -> bool:
    """Whether bodies need a signed sha256: only where the wire is neither TLS nor loopback."""
    parts = urlsplit(endpoint_url or "https://")
    if parts.scheme == "https" or parts.hostname == "localhost":
        return False
    try:
        return not ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return True


def client_config(options: StoreOptions) -> AioConfig:
    """The SDK's settings for a store. The HTTP client sets no read timeout: each call's own deadline bounds it."""
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
        # An item's identity names the endpoint of the manifest; AWS_ENDPOINT_URL must not swap it.
        ignore_configured_endpoint_urls=True,
        s3={"addressing_style": options.addressing, "payload_signing_enabled": signs_payload(options.endpoint_url)},
    )


@cache
def _service_models() -> Loader:
    """botocore's description of S3, read once: it is most of the cost of a client."""
    return create_loader()


def _client(options: StoreOptions) -> AbstractAsyncContextManager["S3Client"]:
    asked = options.credentials or Credentials()
    if options.ca_file is not None and not Path(options.ca_file).is_file():
        raise ValueError(f"ca_file {options.ca_file} is not a file")
    session = AioSession(profile=asked.profile)
    session.register_component("data_loader", _service_models())
    region = options.region or session.get_config_variable("region") or FALLBACK_REGION
    return session.create_client(
        "s3",
        region_name=region,
        endpoint_url=options.endpoint_url or None,
        verify=options.ca_file,
        aws_access_key_id=asked.access_key_id,
        aws_secret_access_key=asked.secret_access_key,
        aws_session_token=asked.session_token,
        config=client_config(options),
    )
