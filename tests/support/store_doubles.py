"""Doubles of products: a StoreProxy in front of SeaweedFS that deviates as the product does.

Owns the deviations that docs/providers.md lists and that a proxy can show. A quirk sees a request before it is
forwarded and may answer it, changes its headers (it is then signed again), or changes the answer.
"""

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from time import monotonic
from urllib.parse import parse_qsl, unquote, unquote_plus, urlsplit
from xml.sax.saxutils import escape

from aiohttp import web
from botocore.credentials import Credentials
from multidict import CIMultiDict

from mirrord.units import MiB
from tests.support.elsewhere import drain, refusal
from tests.support.keyring import signed_again
from tests.support.operations import operation
from tests.support.proxy import Seen, StoreProxy

Strip = Callable[[str, CIMultiDict[str]], None]
"""Gets the operation and the headers of a request; removes some."""
Refuse = Callable[[Seen, web.BaseRequest], web.Response | None]
Rewriting = Callable[[Seen, bytes], bytes]


@dataclass
class Quirks:
    """The deviations of one product."""

    strips: list[Strip] = field(default_factory=list)
    refuses: list[Refuse] = field(default_factory=list)
    rewrites: list[Rewriting] = field(default_factory=list)
    says: dict[str, str] = field(default_factory=dict)
    """Headers of each answer."""

    def install(self, proxy: StoreProxy) -> None:
        keys = Credentials(proxy.upstream.access_key_id, proxy.upstream.secret_access_key)

        async def before(seen: Seen, request: web.BaseRequest) -> web.StreamResponse | None:
            for refuse in self.refuses:
                if (instead := refuse(seen, request)) is not None:
                    await drain(request)
                    return instead
            return None

        def sign(method: str, url: str, headers: CIMultiDict[str]) -> None:
            parts = urlsplit(url)
            name = operation(method, parts.path + (f"?{parts.query}" if parts.query else ""), headers)[0]
            for strip in self.strips:
                strip(name, headers)
            signed_again(keys, method, url, headers)

        def rewrite(seen: Seen, headers: CIMultiDict[str], body: bytes) -> bytes:
            for one in self.rewrites:
                body = one(seen, body)
            return body

        proxy.before, proxy.sign = before, sign  # type: ignore[assignment]
        proxy.says = self.says
        proxy.rewrite = rewrite if self.rewrites else None


# ── headers that are ignored ──────────────────────────────────────────────────────────────────────
def ignoring(pattern: str, *operations: str) -> Strip:
    """Headers that match are ignored in these operations; without operations in all."""

    def strip(name: str, headers: CIMultiDict[str]) -> None:
        if not operations or name in operations:
            for one in [one for one in headers if re.fullmatch(pattern, one, re.IGNORECASE)]:
                headers.popall(one, None)

    return strip


CHECKSUM_HEADERS = "x-amz-(sdk-)?checksum-.*"
WRITES = ("PutObject", "CreateMultipartUpload")


# ── requests that are refused ─────────────────────────────────────────────────────────────────────
def refusing(pattern: str, status: int, code: str) -> Refuse:
    """A write with a header `name: value` that matches is refused."""

    def refuse(seen: Seen, request: web.BaseRequest) -> web.Response | None:
        lines = (f"{name}: {value}".lower() for name, value in request.headers.items())
        wrong = seen.operation in WRITES and any(re.fullmatch(pattern, line) for line in lines)
        return refusal(status, code) if wrong else None

    return refuse


def refusing_call(name: str, status: int = 501, code: str = "NotImplemented") -> Refuse:
    return lambda seen, request: refusal(status, code) if seen.operation == name else None


def refusing_keys(text: str, status: int, code: str) -> Refuse:
    return lambda seen, request: refusal(status, code) if text in seen.key and seen.operation in WRITES else None


def classes(*known: str) -> Refuse:
    """Other storage classes than these are refused."""
    names = "|".join(known).lower()
    return refusing(rf"x-amz-storage-class: (?!({names})$).*", 400, "InvalidStorageClass")


def parameters(request: web.BaseRequest) -> dict[str, str]:
    return dict(parse_qsl(request.raw_path.partition("?")[2], keep_blank_values=True))


def at_most(parts: int) -> Refuse:
    def refuse(seen: Seen, request: web.BaseRequest) -> web.Response | None:
        number = int(parameters(request).get("partNumber", 0))
        return refusal(400, "InvalidArgument") if seen.operation == "UploadPart" and number > parts else None

    return refuse


def part_sizes(accepts: Callable[[list[int]], bool], code: str) -> Refuse:
    """CompleteMultipartUpload is refused if the sizes of all parts but the last are not accepted."""
    sizes: dict[str, dict[int, int]] = defaultdict(dict)

    def refuse(seen: Seen, request: web.BaseRequest) -> web.Response | None:
        given = parameters(request)
        if seen.operation == "UploadPart":
            sizes[given["uploadId"]][int(given["partNumber"])] = request.content_length or 0
        if seen.operation == "CompleteMultipartUpload":
            ordered = [size for _, size in sorted(sizes[given["uploadId"]].items())]
            return None if accepts(ordered[:-1]) else refusal(400, code)
        return None

    return refuse


def repeated_complete_is_404() -> Refuse:
    """The second CompleteMultipartUpload of one upload."""
    done = set[str]()

    def refuse(seen: Seen, request: web.BaseRequest) -> web.Response | None:
        if seen.operation != "CompleteMultipartUpload":
            return None
        upload = parameters(request)["uploadId"]
        known = upload in done
        done.add(upload)
        return refusal(404, "NoSuchUpload") if known else None

    return refuse


def one_write_a_second() -> Refuse:
    """Of one key; a further one is 429."""
    last: dict[str, float] = {}

    def refuse(seen: Seen, request: web.BaseRequest) -> web.Response | None:
        if seen.operation not in {"PutObject", "CompleteMultipartUpload"}:
            return None
        now, before = monotonic(), last.get(seen.key, float("-inf"))
        if now - before < 1:
            return refusal(429, "TooManyRequests", {"Retry-After": "1"})
        last[seen.key] = now
        return None

    return refuse


# ── answers that differ ───────────────────────────────────────────────────────────────────────────
def changing(name: str, pattern: bytes, by: bytes) -> Rewriting:
    """The answer to this operation (all: "") has `by` where `pattern` matches."""
    return lambda seen, body: re.sub(pattern, by, body, flags=re.DOTALL) if name in ("", seen.operation) else body


def exact_prefix(seen: Seen, body: bytes) -> bytes:
    """ListMultipartUploads shows only uploads whose key is the prefix."""
    if seen.operation != "ListMultipartUploads":
        return body
    prefix = re.search(rb"<Prefix>(.*?)</Prefix>", body)
    wanted = prefix[1] if prefix else b""

    def kept(one: re.Match[bytes]) -> bytes:
        return one[0] if b"<Key>%s</Key>" % wanted in one[0] else b""

    return re.sub(rb"<Upload>.*?</Upload>", kept, body, flags=re.DOTALL)


def ordered(order: Callable[[list[str]], list[str]]) -> Rewriting:
    """The objects of a page of ListObjectsV2 are in another order; gets and returns keys."""

    def rewrite(seen: Seen, body: bytes) -> bytes:
        found = re.findall(rb"<Contents>.*?</Contents>", body, re.DOTALL)
        if seen.operation != "ListObjectsV2" or not found:
            return body
        by_key = {unquote(one.partition(b"<Key>")[2].partition(b"</Key>")[0].decode()): one for one in found}
        start, end = body.index(found[0]), body.rindex(b"</Contents>") + len(b"</Contents>")
        return body[:start] + b"".join(by_key[key] for key in order(list(by_key))) + body[end:]

    return rewrite


def utf16(keys: list[str]) -> list[str]:
    return sorted(keys, key=lambda key: key.encode("utf-16-be"))


def not_encoded(seen: Seen, body: bytes) -> bytes:
    """`encoding-type=url` is ignored, and the answer says so."""
    if b"<EncodingType>url</EncodingType>" not in body:
        return body

    def decoded(found: re.Match[bytes]) -> bytes:
        return b"<Key>%s</Key>" % escape(unquote_plus(found[1].decode())).encode()

    return re.sub(rb"<Key>(.*?)</Key>", decoded, body.replace(b"<EncodingType>url</EncodingType>", b""))


# ── products ──────────────────────────────────────────────────────────────────────────────────────
def ceph() -> Quirks:
    return Quirks(
        strips=[ignoring(CHECKSUM_HEADERS), ignoring("x-amz-tagging", "CreateMultipartUpload")],
        rewrites=[
            changing("CompleteMultipartUpload", rb"<ETag>.*?</ETag>", b"<ETag></ETag>"),
            changing("", rb"<Message>.*?</Message>", b""),
        ],
    )


def minio() -> Quirks:
    return Quirks(
        strips=[ignoring("if-match", "DeleteObject"), ignoring("x-amz-acl", *WRITES)],
        refuses=[
            repeated_complete_is_404(),
            refusing_keys("\\", 400, "XMinioInvalidObjectName"),
            classes("STANDARD", "REDUCED_REDUNDANCY"),
        ],
        rewrites=[exact_prefix, changing("", rb"<Code>BadDigest</Code>", b"<Code>XAmzContentChecksumMismatch</Code>")],
    )


def r2(*, limited: bool = True) -> Quirks:
    """`limited`: with the limit on writes of one key."""
    equal = part_sizes(lambda sizes: all(one == other for one, other in pairwise(sizes)), "InvalidPart")
    return Quirks(
        strips=[ignoring("x-amz-checksum-(crc32c?|sha256)", "PutObject")],
        refuses=[
            *([one_write_a_second()] if limited else []),
            equal,
            refusing("x-amz-(acl|tagging): .*", 501, "NotImplemented"),
            classes("STANDARD", "STANDARD_IA"),
        ],
    )


def storj() -> Quirks:
    return Quirks(
        refuses=[
            part_sizes(lambda sizes: all(size >= 64 * MiB for size in sizes), "EntityTooSmall"),
            refusing_call("UploadPartCopy"),
        ],
        rewrites=[ordered(lambda keys: sorted(keys, key=hash))],
    )


def b2() -> Quirks:
    return Quirks(
        refuses=[
            refusing("x-amz-acl: (?!private$).*", 400, "InvalidArgument"),
            refusing("content-encoding: .*aws-chunked.*", 400, "InvalidArgument"),
            refusing("if-none-match: .*", 501, "NotImplemented"),
        ]
    )


def gcs() -> Quirks:
    return Quirks(
        strips=[
            ignoring("x-amz-storage-class", *WRITES),  # SeaweedFS does not have these classes
            ignoring("if-(none-)?match", "CompleteMultipartUpload"),
        ],
        refuses=[
            refusing_call("UploadPartCopy"),
            refusing("content-encoding: .*aws-chunked.*", 400, "InvalidArgument"),
            classes("STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"),
        ],
    )


def yandex() -> Quirks:
    return Quirks(
        strips=[ignoring("x-amz-storage-class", *WRITES)],  # SeaweedFS does not have these classes
        refuses=[classes("STANDARD", "COLD", "STANDARD_IA", "NEARLINE", "ICE", "GLACIER")],
    )


def scaleway() -> Quirks:
    return Quirks(refuses=[at_most(1_000), classes("STANDARD", "ONEZONE_IA", "GLACIER")])


def unordered() -> Quirks:
    return Quirks(rewrites=[ordered(lambda keys: keys[::-1])])


def old_seaweedfs() -> Quirks:
    return Quirks(says={"Server": "SeaweedFS 30GB 4.47"})


def java() -> Quirks:
    return Quirks(rewrites=[ordered(utf16)])


def forgetful() -> Quirks:
    """Ignores what it does not know, as small stores do."""
    options = "x-amz-(server-side-encryption|object-lock|tagging|storage-class).*"
    return Quirks(strips=[ignoring(f"{options}|cache-control|content-language|expires", *WRITES)])


def versitygw() -> Quirks:
    return Quirks(rewrites=[not_encoded])
