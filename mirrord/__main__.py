"""`python -m mirrord`, and the `mirrord` script.

First, the steps that must precede every other import: signals, standard streams, the encoding of names and output, and,
as process 1, a parent that reaps orphans. `main` imports the rest: signals are blocked from its first line.
"""

import io
import os
import signal
import sys


def main() -> None:
    """Run the command line; the process ends with one of the exit codes of `cli.exits`."""
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT, signal.SIGHUP))  # until `install`
    from mirrord.cli.process.init import fork_as_init
    from mirrord.cli.process.signals import process
    from mirrord.cli.process.standard_streams import guard, open_closed
    from mirrord.cli.process.uncaught import install

    open_closed()
    speak_utf8()
    guard()
    install()
    process.install(sys.argv[1:])
    fork_as_init()
    from mirrord.cli.main import invoke

    sys.exit(invoke(sys.argv[1:]))


def speak_utf8() -> None:
    """File names are read as UTF-8 in every locale; output is UTF-8 and never fails because of its encoding.

    Python chooses the encoding of names before any code runs (PEP 540). Under another locale the process therefore
    replaces itself by one in UTF-8 mode, with the same process id, arguments and descriptors.
    """
    if sys.getfilesystemencoding() != "utf-8" and sys.executable:
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # None if the descriptor was closed
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


if __name__ == "__main__":
    main()
