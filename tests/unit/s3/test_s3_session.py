"""How a declared store becomes an SDK client's settings."""

import pytest
from aiobotocore.session import AioSession
from botocore import UNSIGNED

from mirrord.declared import Credentials, RequestOptions, StoreOptions
from mirrord.model import ChecksumKind, ProviderName
from mirrord.s3.policies import provider_of, signs_payload
from mirrord.s3.sdk_session import aws_session, client_config


@pytest.mark.parametrize(
    ("endpoint", "signs"),
    [
        (None, False),
        ("", False),
        ("https://store.example", False),
        ("http://127.0.0.1:9000", False),
        ("http://127.8.8.8:9000", False),
        ("http://localhost:9000", False),
        ("http://[::1]:9000", False),
        ("http://store.example:9000", True),
        ("http://10.0.0.7:9000", True),
        ("http://localhost.example", True),
    ],
)
def test_bodies_are_signed_only_without_tls_and_loopback(endpoint: str | None, signs: bool) -> None:
    options = StoreOptions(name="s", endpoint_url=endpoint)
    assert signs_payload(options) is signs
    assert client_config(options).s3["payload_signing_enabled"] is signs


@pytest.mark.parametrize("endpoint", ["https://store.example", "http://10.0.0.7:9000"])
@pytest.mark.parametrize(("chosen", "signs"), [("always", True), ("never", False)])
def test_the_signing_of_bodies_may_be_chosen(endpoint: str, chosen: str, signs: bool) -> None:
    options = StoreOptions(name="s", endpoint_url=endpoint, requests=RequestOptions(payload_signing=chosen))
    assert signs_payload(options) is signs
    assert client_config(options).s3["payload_signing_enabled"] is signs


def test_the_sdk_neither_retries_nor_adds_checksums_nor_times_out_by_itself() -> None:
    config = client_config(StoreOptions(name="s"))
    assert config.retries == {"total_max_attempts": 1}
    assert config.request_checksum_calculation == "when_required"
    assert config.response_checksum_validation == "when_required"
    assert config.read_timeout is None


def test_anonymous_is_unsigned() -> None:
    config = client_config(StoreOptions(name="s", credentials=Credentials(anonymous=True)))
    assert config.signature_version is UNSIGNED


@pytest.mark.parametrize("addressing", ["auto", "path", "virtual"])
def test_addressing_is_as_declared(addressing: str) -> None:
    options = StoreOptions(name="s", requests=RequestOptions(addressing=addressing))
    assert client_config(options).s3["addressing_style"] == addressing


def test_a_declared_checksum_replaces_that_of_the_provider() -> None:
    assert provider_of(StoreOptions(name="s", provider=ProviderName.AWS)).checksum is ChecksumKind.CRC64NVME
    declared = StoreOptions(name="s", provider=ProviderName.AWS, checksum=ChecksumKind.MD5)
    assert provider_of(declared).checksum is ChecksumKind.MD5


@pytest.mark.parametrize("credentials", [None, Credentials.of("key", "secret")], ids=["chain", "declared"])
async def test_a_session_has_the_handlers_of_the_sdk_and_none_of_another_session(
    credentials: Credentials | None,
) -> None:
    first, second = (aws_session(StoreOptions(name="s", credentials=credentials)) for _ in range(2))

    async def attributes(session: AioSession) -> set[str]:
        """What the handlers add to the class of a client."""
        found: dict[str, object] = {}
        event = {"class_attributes": found, "base_classes": [], "service_name": "s3"}
        await session.get_component("event_emitter").emit("creating-client-class.s3", **event)
        return set(found)

    of_the_sdk = await attributes(first)
    assert "generate_presigned_url" in of_the_sdk
    first.register("creating-client-class.s3", lambda class_attributes, **_: class_attributes.update(own=None))
    assert (await attributes(first), await attributes(second)) == ({*of_the_sdk, "own"}, of_the_sdk)
