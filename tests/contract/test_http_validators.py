"""Conditional and range requests to a real origin: which responses are trusted, and which requests follow."""

import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import format_datetime, formatdate

import pytest

from mirrord.errors import SourceChanged, SourceDenied, SourceError
from mirrord.sources.http import HttpSources
from mirrord.sources.http.source import HttpSource
from mirrord.testing import ManualClock
from tests.support import origin as misbehaviour
from tests.support.origin import Asked, Behaviour, Generated, Origin, Reply
from tests.support.raw_origin import raw_origin, response
from tests.support.reading import item_of, probed, read

SIZE = 200_000
WHOLE = Generated(SIZE, seed=1)
BODY = b"".join(WHOLE.pieces())
CONDITIONS = {"if-none-match", "if-modified-since"}
DAY = 86400.0


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def sources(clock: ManualClock) -> AsyncIterator[HttpSources]:
    async with HttpSources(now=lambda: 1_800_000_000, monotonic=clock.monotonic) as sources:
        yield sources


@pytest.fixture
def it(origin: Origin, sources: HttpSources) -> HttpSource:
    return sources.source(item_of(origin.publish("/it", WHOLE), idle_timeout=5.0))


def refuses(header: str, status: int) -> Behaviour:
    """`status` to requests with this header."""
    return lambda reply, asked: reply.empty(status) if header in asked.headers else None


def conditional(asked: Asked) -> bool:
    return bool(CONDITIONS & asked.headers.keys())


# ── not modified ──────────────────────────────────────────────────────────────────────────────────
async def test_not_modified_with_another_etag_leads_to_a_plain_request(origin: Origin, it: HttpSource) -> None:
    known = (await probed(it)).revision
    origin.publish("/it", b"rolled back")

    def lies(reply: Reply, asked: Asked) -> None:
        if conditional(asked):
            reply.empty(304, ETag=reply.headers["ETag"])

    origin.behave("/it", lies)
    async with it:
        observed = await it.probe(known)
        assert observed is not None
        assert await read(it, observed) == b"rolled back"
    assert [conditional(asked) for asked in origin.log] == [False, True, False]


async def test_not_modified_with_an_older_date_leads_to_a_plain_request(origin: Origin, it: HttpSource) -> None:
    origin.behave("/it", misbehaviour.without("ETag"))
    known = (await probed(it)).revision
    older = formatdate(1_600_000_000, usegmt=True)

    def lies(reply: Reply, asked: Asked) -> None:
        reply.headers.pop("ETag", None)
        reply.headers["Last-Modified"] = older
        if conditional(asked):
            reply.empty(304, **{"Last-Modified": older})

    origin.behave("/it", lies)
    async with it:
        observed = await it.probe(known)
        assert observed is not None
        assert observed.revision.last_modified == older


@pytest.mark.parametrize("etag", ["", "W/"])
async def test_not_modified_with_the_known_etag_is_trusted(origin: Origin, it: HttpSource, etag: str) -> None:
    known = (await probed(it)).revision
    origin.behave("/it", lambda reply, asked: reply.headers.update(ETag=etag + (known.etag or "")))
    async with it:
        assert await it.probe(known) is None
    assert len(origin.log) == 2


async def test_a_date_is_not_sent_beside_an_etag(origin: Origin, it: HttpSource) -> None:
    known = (await probed(it)).revision
    assert known.last_modified
    async with it:
        assert await it.probe(known) is None
    assert CONDITIONS & origin.log[-1].headers.keys() == {"if-none-match"}


@pytest.mark.parametrize("etag", ["v1", '"v1', "'v1'", '"v 1"', "W/v1", '"v1", "v2"'])
async def test_a_malformed_etag_is_not_sent_back(origin: Origin, it: HttpSource, etag: str) -> None:
    origin.behave("/it", misbehaviour.says(ETag=etag, Last_Modified="yesterday"))
    known = (await probed(it)).revision
    async with it:
        observed = await it.probe(known)
        assert observed is None or observed.revision == known, "it is still compared"
        assert not (await probed(it)).ranges
    assert not any(conditional(asked) for asked in origin.log)


# ── dates that are no validators ──────────────────────────────────────────────────────────────────
async def test_a_date_of_the_second_of_the_response_is_no_validator(origin: Origin, it: HttpSource) -> None:
    def fresh(reply: Reply, asked: Asked) -> None:
        reply.headers.pop("ETag", None)
        now = format_datetime(datetime.now(UTC), usegmt=True)
        reply.headers.update(Date=now, **{"Last-Modified": now})

    origin.behave("/it", fresh)
    known = (await probed(it)).revision
    assert known.last_modified is None
    async with it:
        assert await it.probe(known) is not None
    assert not conditional(origin.log[-1])


# ── refused conditions ────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("status", [400, 403, 405, 406, 412, 416, 431, 501, 505])
@pytest.mark.parametrize("validator", ["ETag", "Last-Modified"])
async def test_refused_conditions_are_left_out_for_a_day(
    origin: Origin, it: HttpSource, clock: ManualClock, sources: HttpSources, status: int, validator: str,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    left = "Last-Modified" if validator == "ETag" else "ETag"
    header = "if-none-match" if validator == "ETag" else "if-modified-since"
    origin.behave("/it", misbehaviour.without(left), refuses(header, status))
    known = (await probed(it)).revision
    async with it:
        observed = await it.probe(known)
        assert observed is None or observed.revision == known
    assert [conditional(asked) for asked in origin.log] == [False, True, False]
    assert [record for record in caplog.records if record.levelno == logging.WARNING and str(status) in record.message]

    again = sources.source(item_of(origin.url("/it"), idle_timeout=5.0))  # the next check
    async with again:
        await again.probe(known)
    assert [conditional(asked) for asked in origin.log[3:]] == [False]
    await clock.advance(DAY)
    async with again:
        await again.probe(known)
    assert [conditional(asked) for asked in origin.log[4:]] == [True, False]


@pytest.mark.parametrize("status", [400, 403, 405, 412, 501])
async def test_a_plain_request_that_is_refused_too_is_an_error(origin: Origin, it: HttpSource, status: int) -> None:
    known = (await probed(it)).revision
    origin.behave("/it", misbehaviour.answers(status))
    for _ in range(2):  # no refusal is recorded
        async with it:
            with pytest.raises(SourceError, match=f"answered {status}"):
                await it.probe(known)
    assert [conditional(asked) for asked in origin.log] == [False, True, False, True, False]


async def test_other_statuses_lead_to_no_second_request(origin: Origin, it: HttpSource) -> None:
    known = (await probed(it)).revision
    for status in (401, 404, 408, 410, 429, 451, 500, 503):
        origin.behave("/it", misbehaviour.answers(status))
        before = len(origin.log)
        with pytest.raises(SourceError):
            await it.probe(known)
        assert len(origin.log) == before + 1


# ── refused ranges ────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("status", [400, 403, 405, 406, 422, 501, 505])
async def test_refused_ranges_are_left_out_for_a_day(
    origin: Origin, it: HttpSource, clock: ManualClock, status: int
) -> None:
    origin.behave("/it", refuses("range", status))
    observed = await probed(it)
    assert observed.ranges
    with pytest.raises(SourceChanged, match=f"answered {status} to a range: it refuses ranges"):
        await read(it, observed, 1000)
    async with it:
        again = await probed(it)
        assert not again.ranges
        assert await read(it, again) == BODY
    await clock.advance(DAY)
    async with it:
        assert (await probed(it)).ranges


async def test_a_412_to_a_range_means_another_revision(origin: Origin, it: HttpSource) -> None:
    origin.behave("/it", refuses("range", 412))
    observed = await probed(it)
    with pytest.raises(SourceChanged, match="another revision"):
        await read(it, observed, 1000)
    async with it:
        assert (await probed(it)).ranges, "no refusal"


async def test_a_range_denied_like_every_request_is_no_refusal_of_ranges(origin: Origin, it: HttpSource) -> None:
    observed = await probed(it)
    origin.behave("/it", misbehaviour.answers(403))
    with pytest.raises(SourceChanged):
        await read(it, observed, 1000)
    with pytest.raises(SourceDenied):
        await it.probe()
    origin.behave("/it")
    async with it:
        assert (await probed(it)).ranges


# ── headers that S3 cannot store ──────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("field", "kept"),
    [
        ("Content-Type: text/plain; charset=utf-8", "text/plain; charset=utf-8"),
        ("Content-Type: text/plain; name=caf\xe9", "text/plain"),
        ("Content-Type: text/\xff\xfe", None),
        ("Content-Type: text/plain\x07\x1b[31m", None),
        ("Content-Type: \x7f", None),
        ("Content-Encoding: g\xe9zip", None),
        ("Content-Encoding: \x01", None),
        ('ETag: "caf\xe9"', None),
        ("Last-Modified: \xe9\x02", None),
    ],
)
async def test_header_bytes_that_an_object_cannot_have(
    sources: HttpSources, field: str, kept: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    answer = response(field, "Content-Length: 4", body=b"body")
    async with raw_origin(answer) as raw, sources.source(item_of(raw.url)) as it:
        observed = await probed(it)
        assert observed.content_type == kept
        assert observed.content_encoding is None
        assert await read(it, observed) == b"body"
        assert f"{observed.revision}".encode()
        await it.probe(observed.revision)
        assert not any(f"\n{name}:" in request.lower() for request in raw.requests for name in CONDITIONS)
    name = field.partition(":")[0]
    warned = [record.message for record in caplog.records if f"its {name} holds" in record.message]
    assert bool(warned) is (name.startswith("Content-") and "utf-8" not in field)
