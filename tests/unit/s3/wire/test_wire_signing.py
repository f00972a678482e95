"""SigV4: AWS's published examples for S3, the vectors of its test suite that fit S3's rules, and botocore's signer."""

import random
import string
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore import auth
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.compat import get_current_datetime
from botocore.config import Config
from botocore.credentials import Credentials

from mirrord.s3.wire.signing import (
    UNSIGNED_PAYLOAD,
    AccessKeys,
    CanonicalRequest,
    Signer,
    encoded_key,
    encoded_query,
    time_stamp,
)

REQUESTS = 10_000
EMPTY = sha256(b"").hexdigest()
SUITE_KEYS = AccessKeys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None)
S3_KEYS = AccessKeys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", None)
S3_HOST = ("host", "examplebucket.s3.amazonaws.com")
UNRESERVED = f"-._~{string.digits}{string.ascii_uppercase}{string.ascii_lowercase}"


@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "signature"),
    [
        ("GET", "/", [], {}, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("POST", "/", [], {}, "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        ("GET", "/ሴ", [], {}, "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
        (
            "GET",
            "/",
            [("Param2", "value2"), ("Param1", "value1")],
            {},
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            "GET",
            "/",
            [(UNRESERVED, UNRESERVED)],
            {},
            "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
        ),
        ("GET", "/", [("ሴ", "bar")], {}, "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"),
        (
            "GET",
            "/",
            [],
            {"my-header1": " value1", "my-header2": ' "a   b   c"'},
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        ),
    ],
    ids=["get", "post", "utf8 path", "query order", "unreserved query", "utf8 query", "trimmed headers"],
)
def test_the_vectors_of_awss_suite(
    method: str, path: str, query: list[tuple[str, str]], headers: dict[str, str], signature: str
) -> None:
    stamp = "20150830T123600Z"
    sent = [("host", "example.amazonaws.com"), ("x-amz-date", stamp), *headers.items()]
    request = CanonicalRequest(method, encoded_key(path), encoded_query(query), sent)
    value = Signer("us-east-1", "service").authorization(request, EMPTY, SUITE_KEYS, stamp)
    assert value.startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, ")
    assert value.endswith(f"Signature={signature}")


@pytest.mark.parametrize(
    ("request_", "payload", "signature"),
    [
        (
            CanonicalRequest("GET", "/test.txt", "", [S3_HOST, ("range", "bytes=0-9")]),
            EMPTY,
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            CanonicalRequest(
                "PUT",
                encoded_key("/test$file.text"),
                "",
                [
                    S3_HOST,
                    ("date", "Fri, 24 May 2013 00:00:00 GMT"),
                    ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
                ],
            ),
            sha256(b"Welcome to Amazon S3.").hexdigest(),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        (
            CanonicalRequest("GET", "/", encoded_query([("lifecycle", "")]), [S3_HOST]),
            EMPTY,
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            CanonicalRequest("GET", "/", encoded_query([("prefix", "J"), ("max-keys", "2")]), [S3_HOST]),
            EMPTY,
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ],
    ids=["get", "put", "lifecycle", "list"],
)
def test_the_examples_of_the_s3_reference(request_: CanonicalRequest, payload: str, signature: str) -> None:
    headers = dict(Signer("us-east-1").sign(request_, payload, S3_KEYS, "20130524T000000Z"))
    assert headers["authorization"].endswith(f"Signature={signature}")
    assert headers["x-amz-content-sha256"] == payload


def test_the_presigned_url_of_the_s3_reference() -> None:
    url = Signer("us-east-1").presigned(
        "https://examplebucket.s3.amazonaws.com/test.txt", S3_KEYS, "20130524T000000Z", 86400
    )
    assert url == (
        "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
        "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
        "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )


def test_random_urls_are_presigned_as_by_botocore(monkeypatch: pytest.MonkeyPatch) -> None:
    seed = random.randrange(2**32)
    dice, now = random.Random(seed), get_current_datetime()
    monkeypatch.setattr(auth, "get_current_datetime", lambda: now)
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    for _ in range(500):
        keys = AccessKeys("AKIA0", f"secret/{dice.random()}", dice.choice([None, f"token/{dice.random()}+="]))
        base = dice.choice(["http://127.0.0.1:9000/bucket", "https://bucket.s3.example.com", "https://[::1]:8443/b.c"])
        url, seconds = f"{base}/{encoded_key(_text(dice, 12))}", dice.randint(1, 604800)
        sent = AWSRequest("GET", url)
        S3SigV4QueryAuth(Credentials(*keys), "s3", "eu-west-3", expires=seconds).add_auth(sent)
        ours = Signer("eu-west-3").presigned(url, keys, stamp, seconds)
        assert parse_qs(urlsplit(ours).query) == parse_qs(urlsplit(sent.url).query), f"seed {seed}: {url}"


ODD = [*"abz019-_.~+%&=?#!*'()[]{}$@:;,<>|\\^`\" /", "//", "%2F", "%25", "..", "ü", "漢", "😀", "\u0301"]


def _text(dice: random.Random, longest: int, signs: list[str] = ODD) -> str:
    return "".join(dice.choices(signs, k=dice.randint(0, longest)))


def _fields(dice: random.Random) -> list[tuple[str, str]]:
    """Query fields, among them empty and repeated ones."""
    fields = [(_text(dice, 6), _text(dice, 8)) for _ in range(dice.randint(0, 5))]
    return fields + dice.choices(fields, k=dice.randint(0, 2)) if fields else []


def _headers(dice: random.Random, host: str) -> list[tuple[str, str]]:
    plain = [one for one in ODD if one.isascii() and one not in ("..", "//")]
    names = {f"x-amz-meta-{_text(dice, 8, list(string.ascii_lowercase + '-'))}" for _ in range(dice.randint(0, 4))}
    return [("host", host), *((name, f"v{_text(dice, 12, plain)}  {_text(dice, 5)}v") for name in names)]


def _signed_by_botocore(request: CanonicalRequest, url: str, body: bytes, *, signs: bool, keys: Credentials) -> Any:
    sent = AWSRequest(request.method, url, dict(request.headers), body)
    sent.context["client_config"] = Config(s3={"payload_signing_enabled": signs})
    S3SigV4Auth(keys, "s3", "eu-west-3").add_auth(sent)
    return {name.lower(): value for name, value in sent.headers.items()}


def test_random_requests_are_signed_as_by_botocore(monkeypatch: pytest.MonkeyPatch) -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    dice, signer, now = random.Random(seed), Signer("eu-west-3"), get_current_datetime()
    monkeypatch.setattr(auth, "get_current_datetime", lambda: now)
    stamp = time_stamp(now.timestamp() if now.tzinfo else (now - type(now)(1970, 1, 1)).total_seconds())
    for _ in range(REQUESTS):
        token = dice.choice([None, f"token/{dice.random()}+="])
        keys = Credentials(f"AKIA{dice.randrange(3)}", f"secret/{dice.randrange(3)}", token)
        base = dice.choice(["http://127.0.0.1:9000/bucket", "https://bucket.s3.example.com", "https://[::1]:8443/b.c"])
        path, query = urlsplit(base).path + "/" + encoded_key(_text(dice, 12)), encoded_query(_fields(dice))
        method = dice.choice(["GET", "PUT", "HEAD"])
        request = CanonicalRequest(method, path, query, _headers(dice, urlsplit(base).netloc))
        body, signs = dice.randbytes(dice.randint(0, 20)), dice.random() < 0.5
        payload = sha256(body).hexdigest() if signs else UNSIGNED_PAYLOAD
        ours = signer.sign(request, payload, AccessKeys(keys.access_key, keys.secret_key, token), stamp)
        url = f"{base.removesuffix(urlsplit(base).path)}{path}?{query}"
        theirs = _signed_by_botocore(request, url, body, signs=signs, keys=keys)
        assert dict(ours) == theirs, f"seed {seed}: {request}"


@pytest.mark.parametrize(
    "changed",
    [
        lambda stamp, keys: ("20261129T000000Z", keys),
        lambda stamp, keys: (stamp, AccessKeys(keys.access_key, "other", None)),
    ],
    ids=["another day", "another secret"],
)
def test_the_key_of_a_day_is_used_for_that_day_and_secret_only(changed: Any) -> None:
    request = CanonicalRequest("GET", "/", "", [("host", "h")])
    used = Signer("us-east-1")
    used.sign(request, EMPTY, S3_KEYS, "20261128T235959Z")
    stamp, keys = changed("20261128T235959Z", S3_KEYS)
    assert used.sign(request, EMPTY, keys, stamp) == Signer("us-east-1").sign(request, EMPTY, keys, stamp)


def test_white_space_beyond_ascii_is_part_of_a_value() -> None:
    request = CanonicalRequest("GET", "/", "", [("x-amz-meta-a", " ü\u00a0  x ")])
    assert "x-amz-meta-a:ü\u00a0 x\n" in request.text(EMPTY)[0]


def test_keys_are_shown_without_their_secrets() -> None:
    assert repr(AccessKeys("AKID", "secret", "token")) == "AccessKeys('AKID')"
