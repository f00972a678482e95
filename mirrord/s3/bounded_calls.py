"""The time limits of calls to one store.

Owns how many seconds a call may take. `errors` translates the errors of a call.
"""

from dataclasses import field

from mirrord.aio import TimeLimits
from mirrord.frozen import frozen
from mirrord.model import Destination
from mirrord.s3.answers.errors import Bounded
from mirrord.s3.call import StoreCall
from mirrord.units import KiB

DEADLINE = 30.0
"""Seconds that each call may take, without the time for its bytes."""
COMPLETE_FACTOR = 20
"""CompleteMultipartUpload may take this many times the base. AWS: "Processing … could take several minutes to
complete"."""
MIN_RATE = 100 * KiB
"""Bytes a second. A slower transfer to a store counts as stalled."""


@frozen
class BoundedCalls:
    """The calls to the store named `store`. `deadline` is the base of each limit in seconds.

    `proxy`: see `StoreCall`.
    """

    store: str
    deadline: float = DEADLINE
    proxy: str | None = None
    limits: TimeLimits = field(default_factory=TimeLimits)

    def named(
        self, operation: str, at: Destination | str, *, write: bool = False, conditional: bool = False
    ) -> StoreCall:
        """A call for an object, or for the bucket `at`."""
        bucket, key = (at, None) if isinstance(at, str) else (at.bucket, at.key)
        return StoreCall(operation, self.store, bucket, key, write, self.proxy, conditional)

    def call(
        self,
        operation: str,
        at: Destination | str,
        *,
        size: int = 0,
        write: bool = False,
        conditional: bool = False,
        factor: int = 1,
        spent: float = 0.0,
    ) -> Bounded:
        """The context in which one call is made; it raises the errors of `mirrord.errors`.

        The limit is `factor` times the base, plus the time of `size` bytes at MIN_RATE, less `spent` seconds.
        """
        call = self.named(operation, at, write=write, conditional=conditional)
        return Bounded(call, self.limits, self.deadline * factor + size / MIN_RATE - spent)

    def no_etag(self, operation: str, at: Destination) -> str:
        """The message for an answer without an ETag."""
        reason = "the answer has no ETag; check that endpoint_url is an S3 endpoint"
        return self.named(operation, at, write=True).message(reason)
