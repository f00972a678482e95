"""The fields of error responses."""

from datetime import UTC, datetime
from typing import Any

import pytest

from mirrord.s3.answers.error_response import clock_skew, code_of, is_s3, message_of

NOW = datetime(2026, 11, 28, 12, 0, 0, tzinfo=UTC)


def answer(fault: dict[str, Any] | None = None, **headers: str) -> dict[str, Any]:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return {"Error": fault or {}, "ResponseMetadata": {"HTTPStatusCode": 403, "HTTPHeaders": named}}


@pytest.mark.parametrize(
    ("response", "code", "message"),
    [
        (answer({"Code": "AccessDenied", "Message": "No."}), "AccessDenied", "No."),
        (answer({"Code": "AccessDenied", "Message": None}), "AccessDenied", ""),
        (answer({"Code": "AccessDenied"}), "AccessDenied", ""),
        (answer({"Code": "403", "Message": "Forbidden"}), None, ""),
        (answer({"Code": None, "Message": None}), None, ""),
        (answer({}), None, ""),
        (
            answer({"Code": "403", "Message": "Forbidden"}, x_minio_error_code="X", x_minio_error_desc='"Why."'),
            "X",
            "Why.",
        ),
    ],
)
def test_code_and_message(response: dict[str, Any], code: str | None, message: str) -> None:
    assert (code_of(response), message_of(response)) == (code, message)


@pytest.mark.parametrize(
    ("date", "ahead"),
    [
        ("Sat, 28 Nov 2026 12:00:00 GMT", 0.0),
        ("Sat, 28 Nov 2026 11:00:00 GMT", 3600.0),
        ("Sat, 28 Nov 2026 12:20:00 GMT", -1200.0),
        ("Sat, 28 Nov 2026 13:00:00 +0100", 0.0),
        ("Sat, 28 Nov 2026 12:00:00 -0000", 0.0),
        ("yesterday", 0.0),
        ("", 0.0),
    ],
)
def test_the_clock_is_compared_with_the_date(date: str, ahead: float) -> None:
    assert clock_skew(answer(date=date), NOW) == ahead


@pytest.mark.parametrize(
    ("response", "s3"),
    [
        (answer({"Code": "AccessDenied"}, content_type="text/html"), True),
        (answer(x_amz_request_id="1", content_type="text/plain"), True),
        (answer(x_minio_error_code="X", content_type="text/plain"), True),
        (answer(content_type="application/xml; charset=utf-8"), True),
        (answer(), True),  # of a HEAD, say
        (answer(content_type="text/html; charset=utf-8"), False),
        (answer(content_type="application/json"), False),
    ],
)
def test_answers_of_s3_are_recognised(response: dict[str, Any], s3: bool) -> None:
    assert is_s3(response) is s3
