"""`python -m mirrord`, and the `mirrord` script.

What the process needs before anything else is loaded or opened comes first: signals, stdin to stderr, the coding of
names and output, and as process 1 a parent that reaps orphans. `main` does the imports: signals wait from its first
line on.
"""

import io
import os
import signal
import sys


def main() -> None:
    """Run the command line; the process ends with SPEC section 3's exit codes."""
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT, signal.SIGHUP))  # until `install`
    from mirrord.cli.init import fork_as_init
    from mirrord.cli.signals import process
    from mirrord.cli.standard_streams import guard, open_closed

    open_closed()
    speak_utf8()
    guard()
    process.install(sys.argv[1:])
    fork_as_init()
    from mirrord.cli.main import invoke

    sys.exit(invoke(sys.argv[1:]))


def speak_utf8() -> None:
    """Names of files are bytes read as UTF-8 whatever the locale is; output is UTF-8 and never fails for its encoding.

    Python chooses the coding of names before any code runs (PEP 540), so under another locale the process is replaced
    by one in UTF-8 mode: same process id, arguments and descriptors.
    """
    if sys.getfilesystemencoding() != "utf-8" and sys.executable:
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # None where the descriptor was closed
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


if __name__ == "__main__":
    main()
