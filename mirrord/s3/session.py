"""Opens the clients of a declared store (`StoreOptions`) and closes them.

Owns which client sends which calls: with `wire: auto`, `wire` sends the frequent ones, and the SDK's client is opened
at the first other call, if the AWS configuration is as simple as `aws_settings` says. `store` makes the calls,
`sdk_session` configures the SDK.
"""

from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from os import environ
from typing import TYPE_CHECKING, Any, NamedTuple, Self, cast

from botocore.exceptions import BotoCoreError

from mirrord.declared import StoreOptions
from mirrord.model import Destination, ObjectLink, ProviderName, StoredObject
from mirrord.providers import Provider, profile
from mirrord.s3.answers.transport import from_transport
from mirrord.s3.authorities import CertificateAuthorities
from mirrord.s3.aws_settings import AwsSettings, plain_settings
from mirrord.s3.body_request import BodyRequest, send_by_sdk
from mirrord.s3.bounded_calls import DEADLINE
from mirrord.s3.call import NotOpen, StoreCall
from mirrord.s3.correcting_client import CorrectingClient, CreateBucket, RegionClients, SendBody
from mirrord.s3.credentials import StoreCredentials, security_files, source_of_keys
from mirrord.s3.customer_keys import CustomerKeys
from mirrord.s3.deferred_client import DeferredClient, sdk_session
from mirrord.s3.links import link_to, linkable
from mirrord.s3.policies import (
    is_anonymous,
    provider_of,
    proxy_of,
    signs_payload,
    uses_tls,
)
from mirrord.s3.regions import endpoint_in
from mirrord.s3.security import StoreSecurity
from mirrord.s3.store import NOT_OPEN, ClientStore
from mirrord.s3.wire.frequent_calls import REQUESTER_PAYS, FrequentCalls
from mirrord.s3.wire.http import WireClient
from mirrord.s3.wire.pool import CONNECTIONS, ConnectionLimit
from mirrord.s3.wire.store_signing import StoreSigning

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client

FALLBACK_REGION = "us-east-1"


class S3Store(ClientStore):
    """One declared store: `async with S3Store(options) as store`. It opens nothing before.

    Entering sends no request. It raises StoreDenied (no such profile) or StoreRefused (an endpoint or ca_file that
    cannot be used). `deadline` is the base, in seconds, of the limit of each call. The frequent calls use at
    most `connections` sockets, for all buckets and regions; the others as many in each region.
    """

    repairs_xml = True

    def __init__(self, options: StoreOptions, *, deadline: float = DEADLINE, connections: int = CONNECTIONS) -> None:
        keys = CustomerKeys.of_store(options.customer_keys)
        super().__init__(None, provider_of(options), name=options.name, deadline=deadline, keys=keys)
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
            self._calls = replace(self._calls, proxy=proxy.shown if (proxy := proxy_of(self._options)) else None)
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
        return await self.ensure_bucket(
            bucket, region=declared.region, versioning=declared.versioning, lock=declared.lock
        )

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

    async def link(self, at: Destination, seconds: int) -> ObjectLink:
        """A URL that fetches the object in the next `seconds`, signed after a HEAD of it. Raises LinkRefused, and the
        errors of a HEAD."""
        if self._correcting is None:
            raise NotOpen(NOT_OPEN)
        await linkable(self, at)
        anonymous = is_anonymous(self._options)
        with self._opening():
            payer = self._options.requests.requester_pays
            return await link_to(self._correcting, at, None if anonymous else seconds, REQUESTER_PAYS if payer else ())

    def _send_body(self, request: BodyRequest) -> Awaitable[StoredObject]:
        if self._correcting is None:
            raise NotOpen(NOT_OPEN)
        return self._correcting.send_body(request)

    def _opening(self) -> AbstractContextManager[None]:
        return _opening(self._options)


@contextmanager
def _opening(options: StoreOptions) -> Iterator[None]:
    try:
        yield
    except (BotoCoreError, ValueError) as error:
        raise from_transport(StoreCall("opening", options.name), error) from error


async def key_source_of(options: StoreOptions) -> str | None:
    """See `credentials.source_of_keys`. Raises the errors of entering a store."""
    with _opening(options):
        return await source_of_keys(options)


async def _settings_of(options: StoreOptions) -> tuple[AwsSettings, bool]:
    """What the AWS configuration decides, and whether the SDK had to read it."""
    plain = plain_settings(options, environ)
    return (plain, False) if plain is not None else ((await sdk_session()).aws_settings(options), True)


@asynccontextmanager
async def _correcting_client(
    options: StoreOptions, connections: int, create_bucket: CreateBucket
) -> AsyncIterator[CorrectingClient]:
    settings, needs_sdk = await _settings_of(options)
    region = options.region or settings.region or FALLBACK_REGION
    credentials, authorities = StoreCredentials(options), authorities_of(options, settings)
    security = StoreSecurity(options.name, credentials, authorities, security_files(options))
    await security.load(tls=_reads_tls_files(options) or uses_tls(options.endpoint_url))
    signing: StoreSigning | None = None
    send_body: SendBody = send_by_sdk
    if options.requests.wire != "sdk":
        adapts = options.requests.payload_signing == "auto"
        signing = StoreSigning(options.name, signs_payload=signs_payload(options), adapts=adapts)
        send_body = FrequentCalls.send_body
    limit = ConnectionLimit(connections)
    opener = _ClientOpener(options, credentials, authorities, region, signing, needs_sdk, connections, limit)
    clients = RegionClients(opener.open, send_body)
    async with CorrectingClient(options.name, region, clients, security, create_bucket, signing) as client:
        yield client


class _ClientOpener(NamedTuple):
    """Opens the clients of one store. `declared`: the region of its endpoint; `needs_sdk`: the SDK finds the addresses
    of buckets, so that its client is opened at once; `connections`: the limit of an SDK client; `limit`: that of all
    own clients together."""

    options: StoreOptions
    credentials: StoreCredentials
    authorities: CertificateAuthorities
    declared: str
    signing: StoreSigning | None
    needs_sdk: bool
    connections: int
    limit: ConnectionLimit

    @asynccontextmanager
    async def open(self, region: str) -> AsyncIterator[Any]:
        """The client of a region: the SDK's, with our own for the frequent calls if `signing` is given."""
        async with DeferredClient(region, partial(self._open_sdk, region)) as sdk:
            if self.needs_sdk:
                await sdk.opened()
            if self.signing is None:
                yield sdk
                return
            keys = None if is_anonymous(self.options) else self.credentials
            endpoint = None if self.needs_sdk else endpoint_in(self.options.endpoint_url, self.declared, region)
            payer = REQUESTER_PAYS if self.options.requests.requester_pays else ()
            async with FrequentCalls(sdk, keys, self.signing, self._connect, endpoint, payer) as calls:
                yield calls

    def _open_sdk(self, region: str, sdk: Any) -> Any:
        parts = sdk.SdkParts(
            self.options, self.credentials, self.authorities, self.declared, self.connections, self.signing
        )
        return sdk.open_client(parts, region)

    def _connect(self, origin: str) -> WireClient:
        return WireClient(
            origin,
            tls=self.authorities.context if uses_tls(origin) else None,
            proxy=proxy.url.reveal() if (proxy := proxy_of(self.options)) else None,
            limit=self.limit,
        )


def authorities_of(options: StoreOptions, settings: AwsSettings) -> CertificateAuthorities:
    """`ca_file`, else a file named by the AWS variables, else the system's trust store."""
    own = options.connection
    for origin, path in (
        ("ca_file", own.ca_file),
        ("AWS_CA_BUNDLE", settings.ca_bundle),
        ("REQUESTS_CA_BUNDLE", environ.get("REQUESTS_CA_BUNDLE")),
    ):
        if path:
            return CertificateAuthorities(origin, path, own.client_cert, own.tls_min)
    return CertificateAuthorities(client_cert=own.client_cert, tls_min=own.tls_min)


def _reads_tls_files(options: StoreOptions) -> bool:
    """Also for http://: a file that is declared must be one that can be used."""
    return bool(options.connection.ca_file or options.connection.client_cert)
