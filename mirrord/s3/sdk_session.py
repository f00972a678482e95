"""The SDK's sessions and clients for a declared store (`StoreOptions`), and what it reads of the AWS configuration.

Owns the settings of the clients. The SDK's own retries, checksums, redirects and `Expect: 100-continue` are off:
retries are policy above the port (a write that the SDK retries causes false conflicts and orphan uploads, FIELD_NOTES 3
and 4), checksums are computed here (7), the SDK's search for the region of a bucket may not end if a store redirects
without a region, and an Expect without an answer hangs (1). It is imported when a call needs it: see `deferred_client`.
"""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from copy import copy
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from aiobotocore.config import AioConfig
from aiobotocore.credentials import AioCredentials
from aiobotocore.hooks import AioHierarchicalEmitter
from aiobotocore.parsers import AioResponseParserFactory
from aiobotocore.session import AioSession
from botocore import UNSIGNED
from botocore.awsrequest import HeadersDict
from botocore.credentials import ReadOnlyCredentials
from botocore.handlers import add_expect_header
from botocore.loaders import Loader, create_loader

from mirrord._version import __version__
from mirrord.declared import StoreOptions
from mirrord.s3.authorities import CertificateAuthorities
from mirrord.s3.aws_settings import AwsSettings, declares_keys
from mirrord.s3.credentials import StoreCredentials
from mirrord.s3.http_session import HttpSession
from mirrord.s3.policies import CONNECT_TIMEOUT, is_anonymous, proxy_of, signs_payload
from mirrord.s3.regions import endpoint_in
from mirrord.s3.wire.operations import answer_date
from mirrord.s3.wire.pool import CONNECTIONS
from mirrord.s3.wire.sdk_signer import SdkSigner
from mirrord.s3.wire.store_signing import StoreSigning

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client

_NO_FILE = (None, None, os.devnull, None)  # config name, variable, default, conversion: as botocore declares them
_WITHOUT_EFFECT = (
    *("account_id_endpoint_mode", "defaults_mode", "ec2_metadata_service_endpoint_mode", "max_attempts"),
    *("metadata_service_num_attempts", "metadata_service_timeout", "request_min_compression_size_bytes"),
    *("retry_mode", "sts_regional_endpoints"),
)
"""Settings that mirrord replaces by its own, or only the AWS chain uses. The SDK refuses invalid values of them."""
_DECLARED: dict[Any, Any] = {
    "profile": (None, None, None, None),
    "config_file": _NO_FILE,
    "credentials_file": _NO_FILE,
    **{name: (None, None, AioSession.SESSION_VARIABLES[name][2], None) for name in _WITHOUT_EFFECT},
}


@cache
def event_handlers() -> AioHierarchicalEmitter:
    """The SDK's own handlers, registered once: that is nearly all of the cost of a session. Each session has a copy."""
    handlers = AioHierarchicalEmitter()
    AioSession(event_hooks=handlers)
    return handlers


def _new_session(variables: dict[Any, Any] | None = None, profile: str | None = None) -> AioSession:
    return AioSession(variables, copy(event_handlers()), include_builtin_handlers=False, profile=profile)


def aws_session(options: StoreOptions) -> AioSession:
    """A session for a store. It has read no file yet."""
    if declares_keys(options):
        session = _new_session(_DECLARED)
        session.get_component("config_store").set_config_variable("s3", None)  # AWS_S3_*: all are set per client
        return session
    return _new_session(profile=options.credentials.profile if options.credentials else None)


def aws_settings(options: StoreOptions) -> AwsSettings:
    """Raises BotoCoreError: no such profile, a broken file."""
    session = aws_session(options)
    return AwsSettings(session.get_config_variable("region"), session.get_config_variable("ca_bundle"))


async def chain_keys(options: StoreOptions) -> Any:
    """The credentials that the AWS chain finds, with the SDK's interface; None: there are none."""
    session = aws_session(options)
    session.get_scoped_config()  # a missing profile is an error even if the environment has keys
    return await session.get_credentials()


def client_config(options: StoreOptions, connections: int = CONNECTIONS) -> AioConfig:
    """The SDK's settings for a store. There is no read timeout: `bounded_calls` limits each call."""
    http_session: Any = HttpSession
    return AioConfig(
        signature_version=UNSIGNED if is_anonymous(options) else None,
        retries={"total_max_attempts": 1},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=None,
        max_pool_connections=connections,
        user_agent=f"mirrord/{__version__}",
        http_session_cls=http_session,
        proxies=dict.fromkeys(("http", "https"), proxy.url.reveal()) if (proxy := proxy_of(options)) else {},
        # The identity of an item contains the endpoint of the manifest; AWS_ENDPOINT_URL must not replace it.
        ignore_configured_endpoint_urls=True,
        use_dualstack_endpoint=True if options.requests.dual_stack else None,  # None: the environment decides
        s3={"addressing_style": options.requests.addressing, "payload_signing_enabled": signs_payload(options)},
    )


@cache
def service_models() -> Loader:
    """botocore's description of S3, read once: reading it is most of the cost of a client."""
    loader = create_loader()
    for name in ("service-2", "endpoint-rule-set-1"):
        loader.load_service_model("s3", name)
    for name in ("endpoints", "partitions", "sdk-default-configuration"):
        loader.load_data(name)
    return loader


class SdkCredentials(AioCredentials):
    """The credentials of a store as the SDK's credential provider and signer read them."""

    def __init__(self, keys: StoreCredentials) -> None:
        super().__init__("", "")
        self._keys = keys

    async def load_credentials(self) -> Self:
        return self

    def get_frozen_credentials(self) -> Any:
        """An awaitable, as in the SDK's class."""
        return self._frozen()

    async def _frozen(self) -> ReadOnlyCredentials:
        frozen = await self._keys.get_frozen_credentials()
        return ReadOnlyCredentials(frozen.access_key, frozen.secret_key, frozen.token)


class SdkParts(NamedTuple):
    """What the SDK's clients of a store share. `declared`: the region that the endpoint of the manifest belongs to.
    `signing` None: the SDK signs."""

    options: StoreOptions
    credentials: StoreCredentials
    authorities: CertificateAuthorities
    declared: str
    connections: int
    signing: StoreSigning | None


@asynccontextmanager
async def open_client(parts: SdkParts, region: str) -> AsyncIterator["S3Client"]:
    """A client for `region`. Raises BotoCoreError or ValueError: an endpoint that cannot be used."""
    session, options = aws_session(parts.options), parts.options
    session.register_component("data_loader", service_models())
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=answer_date)
    session.register_component("credential_provider", SdkCredentials(parts.credentials))
    verify: Any = parts.authorities  # the SDK passes it to HttpSession unchanged
    opened: AbstractAsyncContextManager[S3Client] = session.create_client(
        "s3",
        region_name=region,
        endpoint_url=endpoint_in(options.endpoint_url or None, parts.declared, region),
        verify=verify,
        config=client_config(options, parts.connections),
    )
    async with opened as client:
        client.meta.events.unregister("before-call.s3", add_expect_header)
        client.meta.events.register_last("before-parameter-build.s3", _disable_region_redirect)
        if options.requests.requester_pays:
            client.meta.events.register_last("before-parameter-build.s3", _agree_to_pay)
        if parts.signing is not None and not is_anonymous(options):
            SdkSigner(client.meta.region_name, parts.credentials, parts.signing).install(client.meta.events)
        yield client


def _agree_to_pay(params: dict[str, Any], model: Any, **_: object) -> None:
    """Agree to the charges of a call ("Using Requester Pays buckets"), if it has the parameter for that."""
    if "RequestPayer" in model.input_shape.members:
        params["RequestPayer"] = "requester"


def _disable_region_redirect(context: dict[str, Any], **_: object) -> None:
    """Mark a call as redirected already. The SDK then searches no region; `CorrectingClient` does."""
    context.setdefault("s3_redirect", {})["redirected"] = True


async def parsed_answer(client: Any, operation: str, status: int, headers: Mapping[str, str], body: bytes) -> Any:
    """The SDK's reading of an answer to an operation of its `client`. Raises ResponseParserError, ValueError,
    TypeError."""
    parsers = AioResponseParserFactory()
    parsers.set_parser_defaults(timestamp_parser=answer_date)
    parser: Any = parsers.create_parser("rest-xml")
    model = client.meta.service_model.operation_model(operation)
    answer = {"headers": HeadersDict(headers), "status_code": status, "context": {}, "body": body}
    changed: dict[str, Any] = {}
    await client.meta.events.emit(  # the SDK makes a 500 of an error document in a 200
        f"before-parse.s3.{operation}", operation_model=model, response_dict=answer, customized_response_dict=changed
    )
    return await parser.parse(answer, model.output_shape) | changed
