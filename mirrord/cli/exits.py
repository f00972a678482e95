"""Exit codes."""

FAILED = 1  # an item failed or is Blocked, a difference was found, or interrupted
USAGE = 2  # bad usage, or a PATH that does not exist
CHANGES = 3  # `plan --exit-code` found changes
LOCKED = 75  # another mirrord holds the state (sysexits: EX_TEMPFAIL)
CLOSED = 141  # the reader of the output ended: 128 + SIGPIPE, as shells report it
INVALID = 78  # a manifest is invalid (sysexits: EX_CONFIG)
