"""The ids of transfers: 128 random bits, as 32 hexadecimal digits.

From a generator of its own, seeded by the system and again in each forked process. uuid4 asks the system for each id,
which costs 4 us alone, and more where other threads wait for the interpreter.
"""

import os
import random

_generator = random.Random()
os.register_at_fork(after_in_child=_generator.seed)


def new_id() -> str:
    """An id that no other transfer has."""
    return f"{_generator.getrandbits(128):032x}"
