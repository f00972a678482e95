"""What the refusals of a store teach about the signing of its requests."""

import time
from datetime import UTC, datetime
from email.utils import formatdate
from hashlib import sha256
from typing import Any

import pytest

from mirrord.declared import Credentials, RequestOptions, StoreOptions
from mirrord.errors import MirrordError, StoreDenied, StoreRefused
from mirrord.model import Destination, ObjectOptions
from mirrord.s3.session import S3Store
from mirrord.s3.wire.signing import UNSIGNED_PAYLOAD, time_stamp
from mirrord.s3.wire.store_signing import StoreSigning, refuses_unsigned
from mirrord.units import MiB
from tests.support.recorded_requests import GivenAnswer, Recorded, RecordedRequests

NOW = 1_800_000_000
HOUR = 3600
KEYS = Credentials.of("AKIA", "a-secret")
AT = Destination("s", "", "data", "a/key")
BODY = memoryview(b"some bytes")
PLAIN = ObjectOptions()


def refusal(status: int = 403, code: str = "403", message: str = "", store_time: float | None = None) -> dict[str, Any]:
    headers = {} if store_time is None else {"date": formatdate(store_time, usegmt=True)}
    metadata = {"HTTPStatusCode": status, "HTTPHeaders": headers}
    return {"Error": {"Code": code, "Message": message}, "ResponseMetadata": metadata}


def signing(*, signs_payload: bool = False, adapts: bool = True) -> StoreSigning:
    return StoreSigning("s", signs_payload=signs_payload, adapts=adapts, clock=lambda: NOW)


@pytest.mark.parametrize(
    ("given", "ahead"),
    [
        (refusal(code="RequestTimeTooSkewed", store_time=NOW + HOUR), HOUR),
        (refusal(code="RequestTimeTooSkewed", store_time=NOW - HOUR), -HOUR),
        (refusal(code="RequestTimeTooSkewed", store_time=NOW + 400), 400),  # a store with a smaller limit
        (refusal(code="RequestTimeTooSkewed", store_time=NOW), None),
        (refusal(code="RequestTimeTooSkewed"), None),
        (refusal(store_time=NOW + HOUR), HOUR),  # a HEAD
        (refusal(400, "400", store_time=NOW + HOUR), HOUR),
        (refusal(store_time=NOW + 800), None),
        (refusal(404, "404", store_time=NOW + HOUR), None),
        (refusal(code="AccessDenied", store_time=NOW + HOUR), None),
    ],
)
def test_the_time_of_the_store_is_learned(given: dict[str, Any], ahead: float | None) -> None:
    learned = signing()
    assert learned.learned_from(given, 0) is (ahead is not None)
    assert learned.stamp() == time_stamp(NOW + (ahead or 0))


def test_a_second_refusal_with_the_same_time_has_another_reason() -> None:
    learned, given = signing(), refusal(code="RequestTimeTooSkewed", store_time=NOW + HOUR)
    assert learned.learned_from(given, 0)
    assert not learned.learned_from(given, learned.version)


def test_a_call_that_was_signed_before_is_signed_again() -> None:
    learned, given = signing(), refusal(code="RequestTimeTooSkewed", store_time=NOW + HOUR)
    assert learned.learned_from(given, 0)
    assert learned.learned_from(given, 0)
    assert not learned.learned_from(refusal(code="AccessDenied"), 0)


@pytest.mark.parametrize(
    ("given", "refuses"),
    [
        (refusal(400, "XAmzContentSHA256Mismatch"), True),
        (refusal(400, "InvalidDigest", "StorageFabric: UNSIGNED-PAYLOAD PUT is not allowed"), True),
        (refusal(400, "InvalidRequest", "Missing required header for this request: x-amz-content-sha256"), True),
        (refusal(403, "AccessDenied", "An unsigned payload is not accepted here"), True),
        (refusal(400, "InvalidDigest", "The Content-MD5 you specified is not valid"), False),
        (refusal(403, "AccessDenied"), False),
        (refusal(500, "InternalError", "UNSIGNED-PAYLOAD"), False),
    ],
)
def test_refusals_of_unsigned_payloads(given: dict[str, Any], refuses: bool) -> None:
    assert refuses_unsigned(given) is refuses


@pytest.mark.parametrize(
    ("signs", "adapts", "learns"), [(False, True, True), (True, True, False), (False, False, False)]
)
async def test_payloads_are_signed_once_a_store_demands_it(signs: bool, adapts: bool, learns: bool) -> None:
    learned = signing(signs_payload=signs, adapts=adapts)
    assert learned.learned_from(refusal(400, "XAmzContentSHA256Mismatch"), 0) is learns
    hashed = sha256(BODY).hexdigest() if signs or learns else UNSIGNED_PAYLOAD
    assert await learned.payload_hash(BODY) == hashed


async def test_a_large_payload_is_hashed() -> None:
    large = memoryview(bytes(3 * MiB))
    assert await signing(signs_payload=True).payload_hash(large) == sha256(large).hexdigest()


# ── the whole call ────────────────────────────────────────────────────────────────────────────────
def document(code: str, message: str = "") -> bytes:
    return f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()


async def outcomes(recorded: RecordedRequests, **requests: str) -> list[MirrordError | None]:
    """The errors of two puts, a HEAD and an abort, which the SDK sends."""
    options = StoreOptions(
        name="s", endpoint_url="https://h", region="r", credentials=KEYS, requests=RequestOptions(**requests)
    )
    found: list[MirrordError | None] = []
    async with S3Store(options) as store:
        for call in (
            lambda: store.put_object(AT, BODY, PLAIN),
            lambda: store.put_object(AT, BODY, PLAIN),
            lambda: store.head_object(AT),
            lambda: store.abort_upload(AT, "u"),
        ):
            try:
                await call()
            except MirrordError as error:
                found.append(error)
            else:
                found.append(None)
    return found


async def test_unsigned_payloads_are_refused_once_a_store(recorded: RecordedRequests) -> None:
    def answer(request: Recorded) -> GivenAnswer:
        unsigned = request.headers["x-amz-content-sha256"] == UNSIGNED_PAYLOAD
        return GivenAnswer(400, {}, document("XAmzContentSHA256Mismatch")) if unsigned else GivenAnswer()

    recorded.answer = answer
    assert await outcomes(recorded) == [None] * 4
    hashes = [request.headers["x-amz-content-sha256"] for request in recorded.requests]
    empty = sha256(b"").hexdigest()
    assert hashes == [UNSIGNED_PAYLOAD, *[sha256(BODY).hexdigest()] * 2, empty, empty]


@pytest.mark.parametrize("requests", [{"payload_signing": "never"}, {"wire": "sdk"}], ids=str)
async def test_the_operator_may_keep_payloads_unsigned(recorded: RecordedRequests, requests: dict[str, str]) -> None:
    recorded.answer = lambda _: GivenAnswer(400, {}, document("InvalidRequest", "UNSIGNED-PAYLOAD is not allowed"))
    assert all(isinstance(error, StoreRefused) for error in await outcomes(recorded, **requests))
    assert {request.headers["x-amz-content-sha256"] for request in recorded.requests} == {UNSIGNED_PAYLOAD}


def _clock_of_the_store(ahead: float) -> Any:
    """Refuses signatures whose time differs by more than 15 minutes from the store's."""

    def answer(request: Recorded) -> GivenAnswer:
        stamp = request.headers["x-amz-date"]
        date = {"date": formatdate(time.time() + ahead, usegmt=True)}
        if abs(_seconds(stamp) - (time.time() + ahead)) <= 900:
            return GivenAnswer()
        return GivenAnswer(403, date, b"" if request.method == "HEAD" else document("RequestTimeTooSkewed"))

    return answer


def _seconds(stamp: str) -> float:
    return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize("ahead", [HOUR, -HOUR])
async def test_a_store_with_another_clock_is_signed_for_with_its_time(recorded: RecordedRequests, ahead: float) -> None:
    recorded.answer = _clock_of_the_store(ahead)
    assert await outcomes(recorded) == [None] * 4
    assert [request.method for request in recorded.requests] == ["PUT", "PUT", "PUT", "HEAD", "DELETE"]


async def test_a_head_alone_learns_the_time(recorded: RecordedRequests) -> None:
    recorded.answer = _clock_of_the_store(HOUR)
    async with S3Store(StoreOptions(name="s", endpoint_url="https://h", region="r", credentials=KEYS)) as store:
        assert await store.head_object(AT) is not None


async def test_the_sdk_signs_with_the_time_of_this_machine(recorded: RecordedRequests) -> None:
    recorded.answer = _clock_of_the_store(HOUR)
    errors = await outcomes(recorded, wire="sdk")
    assert all(isinstance(error, StoreDenied) for error in errors)
