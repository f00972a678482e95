"""Exit codes."""

FAILED = 1
USAGE = 2
CHANGES = 3
LOCKED = 75  # sysexits: EX_TEMPFAIL
INVALID = 78  # sysexits: EX_CONFIG
CLOSED = 141  # 128 + SIGPIPE, as shells report it

MEANINGS = {
    0: ("success; `run` was stopped by a signal", "nothing"),
    FAILED: (
        "an item failed or is Blocked, the command could not do its work, or it was interrupted",
        "read the lines that begin with `mirrord:`, and `mirrord status`: each reason is in [reasons](reasons.md)",
    ),
    USAGE: (
        "wrong usage, a PATH that does not exist, no manifest at PATH, or an `--only` that matches nothing",
        "correct the command line; `mirrord COMMAND --help` has examples",
    ),
    CHANGES: ("`plan --exit-code` found changes", "run `mirrord sync`, or wait for the daemon"),
    LOCKED: (
        "another mirrord holds the state",
        "wait until it ends, stop it (its pid is in the message), or name another state with `--state`",
    ),
    INVALID: (
        "a manifest is invalid; the valid ones were processed first, and 78 wins over 1 and 3",
        "correct what `mirrord validate` shows: it names file, line and column",
    ),
    CLOSED: (
        "the reader of the output ended, like `head`; `sync` and `copy` finish their work first, and `run` continues",
        "nothing; let the reader read to the end if all lines are needed",
    ),
}
"""The meaning of each code, and what to do."""
