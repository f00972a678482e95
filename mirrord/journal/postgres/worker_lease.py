"""The lease of a process that works for the one that has the state: a row of its own, which the latter removes when the
process is dead or paused for too long."""

import os
import socket
from contextlib import suppress

from mirrord.errors import JournalError
from mirrord.journal.postgres.address import ServerAddress
from mirrord.journal.postgres.lease import VALID, Lease

_TAKE = b"""
INSERT INTO lease (name, owner, epoch, until, host, pid, slots)
VALUES ('worker ' || %(owner)s, %(owner)s, 1, clock_timestamp() + %(valid)s * interval '1 second', %(host)s, %(pid)s,
    %(slots)s)
ON CONFLICT (name) DO NOTHING
"""


class WorkerLease(Lease):
    """A row of this process alone: entering never waits. `slots`: items that the worker checks at a time."""

    def __init__(self, address: ServerAddress, slots: int) -> None:
        super().__init__(address)
        self._slots = slots
        self.epoch = 1

    async def _take(self) -> None:
        values = {
            "owner": self.owner,
            "valid": VALID,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "slots": self._slots,
        }
        await self._session.run(lambda connection: connection.execute(_TAKE, values))

    async def _leave(self) -> None:
        with suppress(JournalError):  # it ends by itself
            await self._session.run(
                lambda connection: connection.execute(b"DELETE FROM lease WHERE owner = %s", (self.owner,))
            )
