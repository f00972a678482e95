"""Whether a batch of small files is sent beside another one, or after it.

Owns the rule and its measurement; `file_batch` sends a batch, its callers start them. While the process waits for the
store or the disk, batches beside each other use that time. Where the interpreter is what takes the time, they only make
its threads wait for each other: on two free cores they changed three times a file, which took 60 to 100 us of CPU.
"""

from mirrord.aio import UsedCores

BUSY = 0.6
"""Cores that the process takes, above which one batch follows the other."""


class BatchPace:
    """Measures the process between the ends of batches. At first it counts as busy."""

    def __init__(self) -> None:
        self._cores = UsedCores()
        self._used = 1.0

    @property
    def one_by_one(self) -> bool:
        """Whether the process was busy during the last batches."""
        return self._used > BUSY

    def begin(self) -> None:
        """A batch begins while none runs."""
        self._cores.since_last()

    def end(self) -> None:
        """A batch has ended."""
        self._used = (self._used + self._cores.since_last()) / 2
