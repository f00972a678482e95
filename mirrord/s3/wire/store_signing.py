"""How the requests to one store are signed: with which payload hash and at which time.

Owns what the refusals of a store teach: that it accepts no unsigned payload, and by how much its clock differs. Both
hold for the whole store until the process ends. `signing` computes signatures, `correcting_client` repeats the call.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from logging import getLogger
from typing import Any

from mirrord.aio import finish
from mirrord.s3.answers.error_response import MAX_CLOCK_SKEW, clock_skew, code_of, message_of, status_of
from mirrord.s3.wire.signing import UNSIGNED_PAYLOAD, time_stamp
from mirrord.units import MiB

_log = getLogger(__name__)

_ON_THE_LOOP = 1 * MiB
"""Bytes of a payload that are hashed without a thread: about 0.7 ms."""
_SAME_CLOCK = 5.0
"""Seconds. A smaller correction of the time changes nothing: the Date of an answer has whole seconds."""


class StoreSigning:
    """The rules of one store named `name`. `signs_payload`: whether payloads are signed; `adapts`: whether that changes
    when the store refuses unsigned ones. `clock` gives seconds since the epoch."""

    def __init__(self, name: str, *, signs_payload: bool, adapts: bool, clock: Callable[[], float] = time.time) -> None:
        self.version = 0
        """How many times a refusal has changed these rules."""
        self.signs_payload = signs_payload
        self._name = name
        self._adapts = adapts
        self._clock = clock
        self._ahead = 0.0  # seconds that the store's clock is ahead of this machine's
        self._stamp = 0, time_stamp(0)

    def stamp(self) -> str:
        """The time for a signature, by the store's clock."""
        now, (second, stamp) = int(self._clock() + self._ahead), self._stamp
        if now != second:
            stamp = time_stamp(now)
            self._stamp = now, stamp
        return stamp

    async def payload_hash(self, body: memoryview | bytes) -> str:
        """The payload hash of a request with this body. Nothing uses the body after the call, even a cancelled one."""
        if not self.signs_payload:
            return UNSIGNED_PAYLOAD
        if len(body) <= _ON_THE_LOOP:
            return sha256(body).hexdigest()
        return await finish(asyncio.to_thread(lambda: sha256(body).hexdigest()))

    def learned_from(self, response: Mapping[str, Any], version: int) -> bool:
        """Whether a call with this refusal can succeed if it is signed again. `version` is that of its signature."""
        if self._adapts and refuses_unsigned(response):
            learned = version != self.version or self._sign_payloads()
        elif (difference := _clock_difference(response)) is not None:
            learned = version != self.version or self._correct_clock(response, difference)
        else:
            return False
        return learned

    def _sign_payloads(self) -> bool:
        if self.signs_payload:
            return False
        self.signs_payload = True
        self.version += 1
        _log.info("store %r: it refuses unsigned payloads, so all are signed from now on", self._name)
        return True

    def _correct_clock(self, response: Mapping[str, Any], difference: float) -> bool:
        ahead = -clock_skew(response, datetime.fromtimestamp(self._clock(), UTC))
        if abs(ahead - self._ahead) <= difference:
            return False
        self._ahead = ahead
        self.version += 1
        _log.warning(
            "store %r: its clock is %.0f s %s this machine's; requests are signed with its time",
            self._name,
            abs(ahead),
            "ahead of" if ahead > 0 else "behind",
        )
        return True


def refuses_unsigned(response: Mapping[str, Any]) -> bool:
    """Whether a store refuses a request because its payload is not signed. Codes differ (XAmzContentSHA256Mismatch,
    InvalidDigest, InvalidRequest, AccessDenied); all but the first name the header or its value in their message."""
    if status_of(response) not in (400, 403, 501):
        return False
    message = message_of(response).lower()
    named = "unsigned-payload" in message or "unsigned payload" in message or "content-sha256" in message
    return named or code_of(response) == "XAmzContentSHA256Mismatch"


def _clock_difference(response: Mapping[str, Any]) -> float | None:
    """The difference of clocks, in seconds, above which this refusal is due to them. None: it has another reason.

    A HEAD is refused without a code: then only a large difference counts.
    """
    if code_of(response) == "RequestTimeTooSkewed":
        return _SAME_CLOCK
    return MAX_CLOCK_SKEW if status_of(response) in (400, 403) and code_of(response) is None else None
