"""One URL as a Source: conditional probes, streams with a proven end, pinned ranges.

Owns which requests are sent and which responses count. Refuses a range of another revision, a body cut short, silence.
The response to a probe stays open for `open`, so that probe and copy cost one request. A broken connection is an error;
`transfer` decides whether to resume.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial
from logging import getLogger
from types import TracebackType
from typing import NamedTuple, Self

from multidict import CIMultiDict

from mirrord.checksums import RunningChecksum
from mirrord.errors import SourceChanged, SourceError, SourceRefused
from mirrord.model import Checksum, ChecksumKind, HttpOptions, Observed, Revision, fingerprint, revealed, shown
from mirrord.planning.decisions.identity import same_revision
from mirrord.ports import ByteStream, PacedStream, Source
from mirrord.sources.http import responses
from mirrord.sources.http.body import EmptyStream, HttpStream, StreamPrefix
from mirrord.sources.http.client import HttpClient
from mirrord.sources.http.codings import transfer_codings
from mirrord.sources.http.exchange import HttpResponse
from mirrord.sources.http.md5_etags import MD5ETags
from mirrord.sources.http.refusals import Refusals, RequestKind
from mirrord.sources.http.urls import location_id, origin, without_userinfo
from mirrord.units import KiB, MiB

_log = getLogger(__name__)

LARGEST_ARRIVED = 64 * KiB
"""Bytes of a body that is sent as it arrived, outside the budget of buffers: a stream of it would cost 30 us more."""
LARGEST_CHECKED = 16 * MiB
"""Bytes of a body that is read only to learn whether the ETags of its host are MD5s."""


class TimeFunctions(NamedTuple):
    """`now`: seconds since the epoch. `monotonic`: seconds that never go back."""

    now: Callable[[], float]
    monotonic: Callable[[], float]


class HttpSource(Source):
    """One URL during one attempt. Leaving the context closes every response that is still open."""

    def __init__(
        self,
        url: str,
        options: HttpOptions,
        client: HttpClient,
        time: TimeFunctions,
        refusals: Refusals,
        md5_etags: MD5ETags,
    ) -> None:
        self._address = fingerprint(url)
        self._url, credentials = without_userinfo(url)
        self._headers = CIMultiDict(credentials)
        self._headers.update(revealed(options.headers))
        self._options = options
        self._client = client
        self._time = time
        self._refusals = refusals
        self._md5_etags = md5_etags
        self._refused_range: int | None = None  # the status of a range request that was refused
        self._probed: tuple[HttpResponse, Observed] | None = None  # the open response to the last probe
        self._probed_url = ""  # of that response

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    async def probe(self, known: Revision | None = None) -> Observed | None:
        """See `ports.Source`. None after a 304, and after a 200 with the strong ETag of `known`."""
        self.release()
        if known is not None and known.address != self._address:
            known = None
        response, url, sent = await self._request_whole(known)
        if response.status == 304 and sent:
            response.release()
            return None
        response, observed = self._checked(response, url, sent)
        if known is not None and _same_strong(known, observed.revision):
            response.close()
            return None
        for name in responses.altered_headers(response.headers):
            _log.warning("%s: its %s holds what an object cannot have: it is cut or left out", shown(self._url), name)
        self._probed, self._probed_url = (response, observed), url
        return observed

    def open(self, observed: Observed, start: int = 0, end: int | None = None) -> "_Opening":
        """See `ports.Source`. A stream from the first byte, right after `probe`, reads the response to the probe.

        A body without a length and without chunks ends when the server closes the connection: nothing proves its end.
        """
        return _Opening(partial(self._opened, observed, start, end))

    async def _opened(self, observed: Observed, start: int, end: int | None) -> tuple[HttpResponse | None, ByteStream]:
        """The response, which the caller closes, and its bytes. Without a response there are no bytes."""
        length = observed.revision.length
        stop = length if end is None else end
        if stop is not None and start >= stop:
            return None, EmptyStream()
        whole = start == 0 and (stop == length or self._is_probed(observed))
        response = await (self._open_whole(observed) if whole else self._open_range(observed, start, stop))
        last = length if whole else stop
        expected = None if last is None else last - start
        try:
            where = f"{shown(self._url)}{response.through}"
            stream = HttpStream(response, where, expected, self._options, self._time.monotonic, self._client.limits)
        except BaseException:
            response.close()
            raise
        pace = self._client.pace if self._client.of_lists else None
        paced = stream if pace is None else PacedStream(stream, pace)
        return response, paced if stop == last or stop is None else StreamPrefix(paced, stop)

    def arrived(self, observed: Observed) -> bytes | None:
        """See `ports.Source`. Of a body of at most `LARGEST_ARRIVED` bytes, framed by its length, that is complete."""
        length = observed.revision.length
        if self._probed is None or not length or length > LARGEST_ARRIVED or not self._is_probed(observed):
            return None
        response = self._probed[0]
        body = response.content
        if not body.is_eof() or body.total_bytes != length or body.exception() is not None:
            return None
        self._probed = None
        response.release()
        return body.read_nowait()

    async def stated(self, observed: Observed) -> Sequence[Checksum]:
        """See `ports.Source`. Digests in the headers of the response to the probe; and a strong ETag that is an MD5, at
        a host whose ETags are. If that is not known, a body of at most `LARGEST_CHECKED` bytes is read to learn it."""
        if self._probed is None or not self._is_probed(observed):
            return ()
        found = responses.stated_digests(self._probed[0].headers)
        md5 = responses.md5_of_etag(observed.revision)
        if md5 is None or any(one.kind is ChecksumKind.MD5 for one in found):
            return found
        are_md5 = self._md5_etags.are_md5(origin(self._probed_url))
        if are_md5 is None and (observed.revision.length or 0) <= LARGEST_CHECKED:
            return [*found, await self._checked_md5(observed, md5)]
        return [*found, md5] if are_md5 else found

    async def _checked_md5(self, observed: Observed, stated: Checksum) -> Checksum:
        """The MD5 of the body, which is read: it shows whether the host's ETags are MD5s."""
        host, running, pace = origin(self._probed_url), RunningChecksum(ChecksumKind.MD5), self._client.pace
        arrived = self.arrived(observed)
        if arrived is not None:
            if pace is not None:
                await pace.pay(len(arrived))
            running.update(memoryview(arrived))
        else:
            view = memoryview(bytearray(LARGEST_ARRIVED))
            async with self.open(observed) as stream:
                paced = stream if pace is None else PacedStream(stream, pace)
                while count := await paced.readinto(view):
                    running.update(view[:count])
        found = running.checksum() or stated
        self._md5_etags.note(host, stated.value, equal=found == stated)
        return found

    async def confirm(self, observed: Observed) -> None:
        """Sends nothing: each response is of one revision, and each range was pinned to it when it was opened.

        The next check finds what the server published since.
        """

    async def _request_whole(self, known: Revision | None) -> tuple[HttpResponse, str, Mapping[str, str]]:
        """The response to a conditional request, or to a plain one if conditions are refused or a 304 is wrong; the
        URL, and the conditions that were sent."""
        refused = None
        if known is not None and not self._refusals.known(RequestKind.CONDITIONS, self._address):
            sent = responses.conditional_headers(known)
            response, url = await self._get(sent, known)
            refused = response.status if sent and responses.refuses_conditions(response.status) else None
            is_credible = response.status != 304 or responses.confirms(known, response.headers)
            if not sent or (refused is None and is_credible):
                return response, url, sent
            response.close()
        range_refused, self._refused_range = self._refused_range, None
        response, url = await self._get({}, None)
        if response.status in (200, 203):
            self._note_refusal(RequestKind.CONDITIONS, refused)
            self._note_refusal(RequestKind.RANGES, range_refused)
        return response, url, {}

    def _note_refusal(self, kind: RequestKind, status: int | None) -> None:
        """A plain request succeeded after one of this kind was refused with `status`; None: it was not refused."""
        if status is not None and not self._refusals.known(kind, self._address):
            self._refusals.note(kind, self._address)
            _log.warning("%s: answers %d to %s: it is asked without them for a day", shown(self._url), status, kind)

    async def _open_whole(self, observed: Observed) -> HttpResponse:
        if self._probed is not None and self._is_probed(observed):
            response, self._probed = self._probed[0], None
            return response
        self.release()
        response, now = self._checked(*await self._get({}, None), {})
        if not same_revision(now.revision, observed.revision):
            response.close()
            raise SourceChanged(f"{shown(self._url)}: changed since it was checked")
        return response

    def _is_probed(self, observed: Observed) -> bool:
        """Whether the response to the probe is still open and of this revision."""
        return self._probed is not None and self._probed[1].revision == observed.revision

    async def _open_range(self, observed: Observed, start: int, stop: int | None) -> HttpResponse:
        self.release()
        etag, total = observed.revision.strong_etag, observed.revision.length
        if not observed.ranges or etag is None:
            raise SourceRefused(f"{shown(self._url)}: a part of it cannot be asked for")
        sent = responses.range_headers(etag, start, stop)
        response, url = await self._get(sent, observed.revision)
        if response.status == 412 or responses.refuses_range(response.status):
            response.close()
            self._refused_range = response.status if response.status != 412 else None
            why = "it refuses ranges" if self._refused_range else "it is another revision"
            raise SourceChanged(f"{shown(self._url)}: answered {response.status} to a range: {why}")
        response, now = self._checked(response, url, sent)
        received = responses.content_range(response.headers.get("Content-Range"))
        same = now.revision.etag == etag and received == (start, total if stop is None else stop, total)
        same &= now.content_encoding == observed.content_encoding
        if response.status != 206 or not same:
            response.close()
            raise SourceChanged(f"{shown(self._url)}: another revision or range answered than the one asked for")
        return response

    async def _get(self, extra: Mapping[str, str], bound: Revision | None) -> tuple[HttpResponse, str]:
        """GET, and the headers `extra` for the URL that the validators of `bound` came from.

        Returns the response, of any status, and its URL.
        """
        location = bound.location if bound else None

        def headers_for(url: str) -> Mapping[str, str]:
            own = url == self._url or origin(url) == origin(self._url)
            headers = self._headers.copy() if own else CIMultiDict[str]()
            headers["Accept-Encoding"] = "identity"
            if self._location(url) == location:
                headers.update(extra)
            return headers

        return await self._client.get(
            self._url,
            headers_for,
            max_redirects=self._options.max_redirects,
            idle=self._options.idle_timeout,
            connection=self._options.connection,
        )

    def _checked(self, response: HttpResponse, url: str, sent: Mapping[str, str]) -> tuple[HttpResponse, Observed]:
        """The response to a request with the headers `sent`, and the source as it describes it.

        A response that is an error is closed and raised.
        """
        now = self._time.now()
        where = f"{shown(url)}{response.through}"
        try:
            failure = responses.failure(response.status, response.headers, where, now)
            if error := failure or _unrequested(response, where, sent):
                raise error
            transfer_codings(response.headers, where)
        except SourceError:
            response.close()
            raise
        observed = responses.observed(response.headers, self._address, self._location(url), now)
        if observed.ranges and self._refusals.known(RequestKind.RANGES, self._address):
            observed = replace(observed, ranges=False)
        return response, observed

    def _location(self, url: str) -> str | None:
        """As `Revision.location`: the id of `url` if a redirect led there; None for the source's own URL."""
        if url == self._url:
            return None
        location = location_id(url)
        return location if location != location_id(self._url) else None

    def release(self) -> None:
        """See `ports.Source`."""
        if self._probed is not None:
            self._probed[0].close()
            self._probed = None


class _Opening(AbstractAsyncContextManager[ByteStream]):
    """The context of `HttpSource.open`: a generator would cost three times as much for each small body."""

    def __init__(self, opened: Callable[[], Awaitable[tuple[HttpResponse | None, ByteStream]]]) -> None:
        self._opened = opened
        self._response: HttpResponse | None = None

    async def __aenter__(self) -> ByteStream:
        self._response, stream = await self._opened()
        return stream

    async def __aexit__(self, *_: object) -> None:
        if self._response is not None:
            self._response.close()


def _unrequested(response: HttpResponse, where: str, sent: Mapping[str, str]) -> SourceRefused | None:
    """The error of a 206 without a range request, or of a 304 without a condition."""
    if response.status == 206 and "Range" not in sent:
        return SourceRefused(f"{where}: answered a part (206) where the whole was asked for")
    if response.status == 304 and not sent:
        return SourceRefused(f"{where}: answered 304 to a question without a condition")
    return None


def _same_strong(known: Revision, now: Revision) -> bool:
    return known.strong_etag is not None and known.strong_etag == now.strong_etag and known.location == now.location
