"""`python -m mirrord`, and the `mirrord` script.

What the process needs before anything else is loaded comes first: signals.
"""

import sys

from mirrord.cli.signals import process


def main() -> None:
    """Run the command line; the process ends with SPEC section 3's exit codes."""
    process.install(sys.argv[1:])
    from mirrord.cli.main import invoke

    sys.exit(invoke(sys.argv[1:]))


if __name__ == "__main__":
    main()
