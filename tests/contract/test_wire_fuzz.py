"""Answers are never mixed: a store splits, cuts, damages, repeats and smuggles answers, and requests are cancelled.

A failure shows its seed. MIRRORD_FUZZ and MIRRORD_SEED: `tests.support.fuzzing`.
"""

import asyncio
import random
from collections import Counter

import pytest
from botocore import exceptions as sdk

from mirrord.s3.wire.http import WireClient, WireResponse
from mirrord.s3.wire.pool import ConnectionLimit
from mirrord.units import KiB
from tests.support.fuzzing import first_seeds, rounds
from tests.support.loops import on_both_loops
from tests.support.scripted_store import ReadRequest, ScriptedStore, ServedConnection, answer_of, scripted

REQUESTS = 200
FOREIGN = answer_of(b"foreign", "X-Id: foreign")


class FaultyStore:
    """Each own answer has the id of its request in a header and in the body; all others say `foreign`."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)

    async def script(self, connection: ServedConnection) -> None:
        while True:
            early = self._chance.random() < 0.1
            request = await (connection.head() if early else connection.request())
            raw, goes_on = self._answer(request, status=403 if early else 200)
            await self._send(connection, raw)
            if early or not goes_on:
                return

    def _answer(self, request: ReadRequest, status: int) -> tuple[bytes, bool]:
        """The bytes, and whether the connection stays open after them."""
        own = self._framed(request, status)
        match self._chance.randrange(12):
            case 0:
                return own + FOREIGN, True
            case 1:
                return own + FOREIGN[: self._chance.randint(1, len(FOREIGN))], True
            case 2:
                return own[: self._chance.randrange(len(own))], False
            case 3:
                return b"", False
            case 4:
                return self._smuggled(request), True
            case 5:
                return self._damaged(own), False
            case 6:
                return b"HTTP/1.1 100 Continue\r\n\r\n" + own, True
            case _:
                return own, True

    def _framed(self, request: ReadRequest, status: int) -> bytes:
        name = request.field("X-Id") or ""
        body = name.encode()
        if request.method == "HEAD":
            return answer_of(b"", f"X-Id: {name}", status=status)
        if self._chance.random() < 0.5:
            return answer_of(body, f"X-Id: {name}", status=status)
        chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
        return f"HTTP/1.1 {status} R\r\nX-Id: {name}\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + chunks

    def _smuggled(self, request: ReadRequest) -> bytes:
        """Two readings: a body that is a foreign answer, or an empty body before a foreign answer."""
        name, inner = request.field("X-Id"), b"0\r\n\r\n" + FOREIGN
        framing = [f"Content-Length: {len(inner)}", "Transfer-Encoding: chunked"]
        if self._chance.random() < 0.3:
            framing = [f"Content-Length: {len(inner)}", "Content-Length: 0"]
        self._chance.shuffle(framing)
        return "\r\n".join(["HTTP/1.1 200 OK", f"X-Id: {name}", *framing, "", ""]).encode() + inner

    def _damaged(self, raw: bytes) -> bytes:
        """Random bytes at the start: what the header and the body say stays as it is."""
        start = bytearray(raw)
        for _ in range(self._chance.randint(1, 3)):
            start[self._chance.randrange(12)] = self._chance.randrange(256)
        return bytes(start)

    async def _send(self, connection: ServedConnection, raw: bytes) -> None:
        while raw:
            size = len(raw) if self._chance.random() < 0.7 else self._chance.randint(1, len(raw))
            await connection.send(raw[:size])
            raw = raw[size:]
            if raw.startswith(b"HTTP/1.1") or raw in FOREIGN:
                continue  # a later stray answer cannot be told from the answer to the next request
            await asyncio.sleep(0)


async def asked(client: WireClient, name: str, chance: random.Random) -> WireResponse:
    method = chance.choice(["PUT", "PUT", "GET", "HEAD"])
    size = chance.choice([0, 10, 70 * KiB, 700 * KiB]) if method == "PUT" else 0
    limit = chance.choice([0.0, 0.001, 0.005]) if chance.random() < 0.15 else 20.0
    async with asyncio.timeout(limit):
        return await client.send(
            method, "/k", [("X-Id", name)], bytes(size), repeatable=chance.random() < 0.5, max_body=4 * KiB
        )


@pytest.mark.parametrize("first", first_seeds(3))
@on_both_loops
async def test_each_answer_belongs_to_its_request(first: int) -> None:
    for seed in rounds(first, shared_by=2):  # two event loops
        await _ask_all(seed)


async def _ask_all(seed: int) -> None:
    chance, outcomes, numbers = random.Random(seed), Counter[str](), iter(range(REQUESTS))
    store = ScriptedStore()
    async with (
        scripted(FaultyStore(seed).script, into=store),
        WireClient(store.url, limit=ConnectionLimit(4)) as client,
    ):

        async def ask() -> None:
            for number in numbers:
                try:
                    answer = await asked(client, str(number), chance)
                except (sdk.BotoCoreError, TimeoutError) as error:
                    outcomes[type(error).__name__] += 1
                else:
                    assert answer.headers["x-id"] == str(number), (seed, answer)
                    assert answer.body in (str(number).encode(), b""), (seed, answer)
                    outcomes[f"{answer.status}"] += 1

        async with asyncio.TaskGroup() as askers:
            for _ in range(6):
                askers.create_task(ask())
        assert len(client._pool.idle) <= 4
    assert outcomes.total() == REQUESTS
    assert outcomes["200"] > REQUESTS / 3, outcomes
    assert outcomes["ConnectionClosedError"], outcomes
    print(outcomes)
