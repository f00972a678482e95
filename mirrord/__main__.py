"""`python -m mirrord`, and the `mirrord` script."""

import sys

from mirrord.cli.main import invoke


def main() -> None:
    """Run the command line; the process ends with SPEC section 3's exit codes."""
    sys.exit(invoke(sys.argv[1:]))


if __name__ == "__main__":
    main()
