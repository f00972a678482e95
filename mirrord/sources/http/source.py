"""One URL as a Source: a conditional look, a proven stream, pinned ranges.

Owns what is asked and what counts as the answer. Refuses a range of any other revision, a body cut short, silence.
The answer to a look stays open, so that look and copy cost one request. A break is raised, not continued: `transfer`
decides what to do about it.
"""

import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from logging import getLogger
from types import TracebackType
from typing import NamedTuple, Self
from urllib.parse import unquote, urlsplit, urlunsplit

from multidict import CIMultiDict

from mirrord.errors import SourceChanged, SourceError, SourceRefused
from mirrord.model import HttpOptions, Item, Observed, Revision, fingerprint, shown
from mirrord.planning.decisions.identity import same_revision
from mirrord.ports import ByteStream, Source
from mirrord.sources.http import answers
from mirrord.sources.http.body import First, HttpStream, Nothing
from mirrord.sources.http.codings import transfer_codings
from mirrord.sources.http.declared import listed_sha256
from mirrord.sources.http.network import Answer, Network
from mirrord.sources.http.refusals import Kind, Refusals

_log = getLogger(__name__)

_OWN_PORT = {"http": ":80", "https": ":443"}


class Clocks(NamedTuple):
    """`now`: seconds since the epoch. `monotonic`: seconds that never go back."""

    now: Callable[[], float]
    monotonic: Callable[[], float]


class HttpSources:
    """Makes the sources of http(s) items over shared connections, alive inside `async with`.

    `connect_timeout` in seconds; `allow`: networks (CIDR) exempt from the address rules, ValueError if malformed;
    `per_host`: connections to one host and port at a time, 0 for any number. `now` tells the date, `monotonic` how long
    something took.
    """

    def __init__(
        self,
        *,
        connect_timeout: float = 10.0,
        allow: Iterable[str] = (),
        per_host: int = 8,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._network = Network(connect_timeout=connect_timeout, allow=allow, per_host=per_host)
        # Asked while an item's own answer is held open: were they in one line, each could wait for the other for ever.
        self._lists = Network(connect_timeout=connect_timeout, allow=allow)
        self._clocks = Clocks(now, monotonic)
        self._refusals = Refusals(monotonic)

    async def __aenter__(self) -> Self:
        await self._network.__aenter__()
        await self._lists.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._lists.__aexit__(kind, error, trace)
        await self._network.__aexit__(kind, error, trace)

    def source(self, item: Item) -> "HttpSource":
        """The item's source, for one attempt."""
        return HttpSource(item.origin.address, item.options.http, self._network, self._clocks, self._refusals)

    async def declared(self, item: Item) -> str | None:
        """The sha256 (hex) that the item's bytes must have, from the list if one is declared; None: nothing is.

        The entry's headers and credentials go to a list at the entry's own origin only. Raises SourceError's children.
        """
        declared = item.options.requires.checksum
        if declared is None or declared.url is None:
            return declared.sha256 if declared else None
        own, credentials = _without_userinfo(item.origin.address)
        same = _origin(own) == _origin(declared.url)
        headers = {**credentials, **item.options.http.headers} if same else {}
        options = replace(item.options.http, headers=headers)
        source = HttpSource(declared.url, options, self._lists, self._clocks, self._refusals)
        return await listed_sha256(source, declared.url, item)


class HttpSource(Source):
    """One look at one URL. Leaving the context closes every answer that is still open."""

    def __init__(self, url: str, options: HttpOptions, network: Network, clocks: Clocks, refusals: Refusals) -> None:
        self._address = fingerprint(url)
        self._url, credentials = _without_userinfo(url)
        self._origin = _origin(self._url)
        self._headers = CIMultiDict(credentials)
        self._headers.update(options.headers)
        self._options = options
        self._network = network
        self._clocks = clocks
        self._refusals = refusals
        self._refused_range: int | None = None  # the status of a range that was refused
        self._held: tuple[Answer, Observed] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    async def probe(self, known: Revision | None = None) -> Observed | None:
        """See `ports.Source`. None on 304, and on a 200 that carries the strong ETag of `known`."""
        self.release()
        if known is not None and known.address != self._address:
            known = None
        answer, observed = await self._looked(known)
        if answer.status == 304:
            answer.release()
            return None
        if known is not None and _same_strong(known, observed.revision):
            answer.close()
            return None
        for name in answers.not_carried(answer.headers):
            _log.warning("%s: its %s holds what an object cannot have: it is cut or left out", shown(self._url), name)
        self._held = answer, observed
        return observed

    @asynccontextmanager
    async def open(self, observed: Observed, start: int = 0, end: int | None = None) -> AsyncIterator[ByteStream]:
        """See `ports.Source`. What begins at the first byte, right after `probe`, comes from the answer to it.

        A body that has neither a length nor chunks ends when the origin closes: nothing more can be known of it.
        """
        length = observed.revision.length
        stop = length if end is None else end
        if stop is not None and start >= stop:
            yield Nothing()
            return
        held = start == 0 and self._holds(observed)
        whole = held or (start == 0 and stop == length)
        answer = await (self._whole(observed) if whole else self._range(observed, start, stop))
        last = length if whole else stop
        expected = None if last is None else last - start
        stream = HttpStream(answer, shown(self._url), expected, self._options, self._clocks.monotonic)
        try:
            yield stream if stop == last or stop is None else First(stream, stop)
        finally:
            answer.close()

    async def confirm(self, observed: Observed) -> None:
        """Nothing to ask: each answer is of one revision, and each range was pinned to this one as it was opened.

        What the origin published since is the next look's concern.
        """

    async def _looked(self, known: Revision | None) -> tuple[Answer, Observed]:
        """The answer to a look: to a plain one, too, where a conditional one is refused or its answer is not to be
        believed."""
        refused = None
        if known is not None and not self._refusals.known(Kind.CONDITIONS, self._address):
            asked = answers.conditions(known)
            answer, url = await self._ask(asked, known)
            refused = answer.status if asked and answer.status in answers.REFUSES_CONDITIONS else None
            believed = answer.status != 304 or answers.confirms(known, answer.headers)
            if not asked or (refused is None and believed):
                return self._judged(answer, url, asked)
            answer.close()
        range_refused, self._refused_range = self._refused_range, None
        answer, url = await self._ask({}, None)
        if answer.status in (200, 203):
            self._note(Kind.CONDITIONS, refused)
            self._note(Kind.RANGES, range_refused)
        return self._judged(answer, url, {})

    def _note(self, kind: Kind, status: int | None) -> None:
        """A plain request worked: whether one of this kind was refused before it, with `status`."""
        if status is not None and not self._refusals.known(kind, self._address):
            self._refusals.note(kind, self._address)
            _log.warning("%s: answers %d to %s: it is asked without them for a day", shown(self._url), status, kind)

    async def _whole(self, observed: Observed) -> Answer:
        if self._held is not None and self._holds(observed):
            answer, self._held = self._held[0], None
            return answer
        self.release()
        answer, again = self._judged(*await self._ask({}, None), {})
        if not same_revision(again.revision, observed.revision):
            answer.close()
            raise SourceChanged(f"{shown(self._url)}: changed since it was looked at")
        return answer

    def _holds(self, observed: Observed) -> bool:
        return self._held is not None and self._held[1].revision == observed.revision

    async def _range(self, observed: Observed, start: int, stop: int | None) -> Answer:
        self.release()
        etag, total = observed.revision.strong_etag, observed.revision.length
        if not observed.ranges or etag is None:
            raise SourceRefused(f"{shown(self._url)}: a part of it cannot be asked for")
        asked = answers.pinned_range(etag, start, stop)
        answer, url = await self._ask(asked, observed.revision)
        if answer.status in answers.REFUSES_RANGES or answer.status == 412:
            answer.close()
            self._refused_range = answer.status if answer.status != 412 else None
            what = "it refuses ranges" if self._refused_range else "it is another revision"
            raise SourceChanged(f"{shown(self._url)}: answered {answer.status} to a range: {what}")
        answer, again = self._judged(answer, url, asked)
        granted = answers.content_range(answer.headers.get("Content-Range"))
        same = again.revision.etag == etag and granted == (start, total if stop is None else stop, total)
        same &= again.content_encoding == observed.content_encoding
        if answer.status != 206 or not same:
            answer.close()
            raise SourceChanged(f"{shown(self._url)}: another revision or range answered than the one asked for")
        return answer

    async def _ask(self, asked: Mapping[str, str], bound: Revision | None) -> tuple[Answer, str]:
        """GET with the headers `asked`, which go only where the answer with the validators of `bound` came from. The
        answer, whatever its status, and its URL."""
        home = answers.place(self._url)
        bound_to = (bound.location or home) if bound else home

        def headers_for(url: str) -> Mapping[str, str]:
            headers = self._headers.copy() if _origin(url) == self._origin else CIMultiDict[str]()
            headers["Accept-Encoding"] = "identity"
            headers.update(asked if answers.place(url) == bound_to else {})
            return headers

        return await self._network.get(
            self._url, headers_for, max_redirects=self._options.max_redirects, idle=self._options.idle_timeout
        )

    def _judged(self, answer: Answer, url: str, asked: Mapping[str, str]) -> tuple[Answer, Observed]:
        """What the answer to a request with the headers `asked` says; one that is an error is closed and raised."""
        now = self._clocks.now()
        try:
            if error := answers.failure(answer.status, answer.headers, shown(url), now) or _unasked(answer, url, asked):
                raise error
            transfer_codings(answer.headers, shown(url))
        except SourceError:
            answer.close()
            raise
        there = answers.place(url)
        location = there if there != answers.place(self._url) else None
        observed = answers.observed(answer.headers, self._address, location, now)
        ranges = observed.ranges and not self._refusals.known(Kind.RANGES, self._address)
        return answer, replace(observed, ranges=ranges)

    def release(self) -> None:
        """See `ports.Source`."""
        if self._held is not None:
            self._held[0].close()
            self._held = None


def _unasked(answer: Answer, url: str, asked: Mapping[str, str]) -> SourceRefused | None:
    """The error of a part, or of "not modified", that was not asked for."""
    if answer.status == 206 and "Range" not in asked:
        return SourceRefused(f"{shown(url)}: answered a part (206) where the whole was asked for")
    if answer.status == 304 and not asked:
        return SourceRefused(f"{shown(url)}: answered 304 to a question without a condition")
    return None


def _same_strong(known: Revision, now: Revision) -> bool:
    return known.strong_etag is not None and known.strong_etag == now.strong_etag and known.location == now.location


def _origin(url: str) -> tuple[str, str]:
    """Scheme and authority, with the port that is the scheme's own left out (RFC 9110 4.3.1)."""
    parts = urlsplit(url)
    scheme, authority = parts.scheme.lower(), parts.netloc.rpartition("@")[2].lower()
    return scheme, authority.removesuffix(_OWN_PORT.get(scheme, ""))


def _without_userinfo(url: str) -> tuple[str, dict[str, str]]:
    """The URL to ask, and userinfo as a header, so that it goes to the entry's own origin only."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise SourceRefused(f"{shown(url)}: the URL is malformed") from None
    userinfo, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, {}
    user, _, password = userinfo.partition(":")
    token = b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()  # with its colon: RFC 7617 2
    return urlunsplit(parts._replace(netloc=host)), {"Authorization": f"Basic {token}"}
