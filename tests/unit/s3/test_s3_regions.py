"""The region that an answer names, and the endpoint of that region."""

from typing import Any

import pytest

from mirrord.s3.regions import endpoint_in, region_of


def refused(status: int, code: str = "", header: str = "", **fault: str) -> dict[str, Any]:
    headers = {"x-amz-bucket-region": header} if header else {}
    return {
        "Error": {"Code": code or str(status), **fault},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": headers},
    }


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (refused(301, "PermanentRedirect", "eu-west-1"), "eu-west-1"),
        (refused(307, "TemporaryRedirect", "eu-west-1"), "eu-west-1"),
        (refused(400, header="eu-west-1"), "eu-west-1"),
        (refused(403, "AccessDenied", "eu-west-1"), "eu-west-1"),
        (refused(400, "AuthorizationHeaderMalformed", Region="eu-west-1"), "eu-west-1"),
        (refused(400, "AuthorizationHeaderMalformed", Message="wrong; expecting 'eu-west-1'."), "eu-west-1"),
        (refused(400, "InvalidRequest", Message="wrong; expecting 'eu-west-1'."), None),
        (refused(403, "AccessDenied", "us-east-1"), None),  # signed for it: the refusal has another reason
        (refused(404, "NoSuchKey", "eu-west-1"), None),
        (refused(503, "SlowDown", "eu-west-1"), None),
        (refused(301, "PermanentRedirect", "evil.example/#"), None),
        (refused(301, "PermanentRedirect", "-"), None),
        (refused(301), None),
    ],
)
def test_a_refusal_names_a_region_or_none(answer: dict[str, Any], named: str | None) -> None:
    assert region_of(answer, "us-east-1") == named


@pytest.mark.parametrize(
    ("endpoint", "there"),
    [
        (None, None),
        ("https://s3.us-east-1.amazonaws.com", "https://s3.eu-west-1.amazonaws.com"),
        ("https://s3.dualstack.us-east-1.amazonaws.com/", "https://s3.dualstack.eu-west-1.amazonaws.com/"),
        ("https://us-east-1.objects.example:8443/base", "https://eu-west-1.objects.example:8443/base"),
        ("https://store.example", "https://store.example"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
        ("http://[::1]:9000", "http://[::1]:9000"),
        ("https://us-east-1.example", "https://us-east-1.example"),  # the domain itself never changes
    ],
)
def test_the_endpoint_of_another_region(endpoint: str | None, there: str | None) -> None:
    assert endpoint_in(endpoint, "us-east-1", "eu-west-1") == there
