"""Runs one command and prints its cost as JSON: `python -I -S launch.py LOG COMMAND …`.

A process of its own, and a small one: Linux counts the peak memory of the parent at the time of the fork for the child
too, so a large parent would hide what a small tool takes. CPU includes the children that the command waited for.
"""

import json
import os
import sys
import time


def main() -> None:
    log, *command = sys.argv[1:]
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        _become(log, command)
    _, status, used = os.wait4(child, 0)
    cost = {
        "wall_s": time.monotonic() - began,
        "cpu_s": used.ru_utime + used.ru_stime,
        "peak_bytes": used.ru_maxrss * 1024,
        "code": os.waitstatus_to_exitcode(status),
    }
    print(json.dumps(cost))


def _become(log: str, command: list[str]) -> None:
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        for descriptor, target in ((os.open(os.devnull, os.O_RDONLY), 0), (output, 1), (output, 2)):
            os.dup2(descriptor, target)
        os.execv(command[0], command)
    finally:
        os._exit(127)


if __name__ == "__main__":
    main()
