"""The flags of rclone, as data: which take a value, and which a manifest needs, has, or cannot have."""

from collections.abc import Mapping
from typing import Any

from mirrord.importing.flags import FlagTable, flag_names

_NEEDLESS_VALUES = flag_names(
    "config log-file log-level log-format stats stats-log-level stats-unit stats-file-name-length "
    "stats-one-line-date-format log-file-max-age log-file-max-backups log-file-max-size retries "
    "retries-sleep low-level-retries checkers buffer-size contimeout timeout expect-continue-timeout "
    "multi-thread-streams multi-thread-cutoff multi-thread-chunk-size max-backlog "
    "multi-thread-write-buffer-size modify-window temp-dir cache-dir color bind dscp order-by "
    "max-connections rc-addr rc-user rc-pass streaming-upload-cutoff password-command list-cutoff "
    "track-renames-strategy max-buffer-memory tpslimit-burst partial-suffix dump default-time "
    "syslog-facility metrics-addr bwlimit-file default-time kv-lock-time cutoff-mode"
)
_NEEDLESS_SWITCHES = flag_names(
    "verbose progress quiet fast-list checksum size-only ignore-times ignore-checksum ignore-size "
    "use-server-modtime no-traverse no-update-modtime no-update-dir-modtime stats-one-line "
    "stats-one-line-date create-empty-src-dirs delete-after delete-before delete-during track-renames "
    "check-first no-check-dest inplace use-mmap auto-confirm human-readable use-json-log no-console "
    "syslog log-systemd log-file-compress progress-terminal-title refresh-times skip-links "
    "no-unicode-normalization server-side-across-configs disable-http2 disable-http-keep-alives "
    "no-gzip-encoding ask-password rc rc-no-auth rc-web-gui ignore-errors print-filename use-cookies "
    "error-on-no-transfer dump-headers dump-bodies skip-specials delete-empty-src-dirs"
)
NEEDLESS = _NEEDLESS_VALUES | _NEEDLESS_SWITCHES
"""mirrord has its own way, or does not need it."""
HELD: Mapping[str, str] = {
    **dict.fromkeys(
        flag_names("exclude-from include-from filter-from files-from files-from-raw files-from0 exclude-if-present"),
        "reads its patterns from a file: write them as include and exclude",
    ),
    **dict.fromkeys(
        flag_names("max-age min-age max-size min-size max-depth hash-filter"),
        "selects files by age, size or depth, which a folder cannot",
    ),
    **dict.fromkeys(flag_names("metadata-exclude metadata-include metadata-filter"), "selects files by their metadata"),
    **dict.fromkeys(
        flag_names("backup-dir suffix compare-dest copy-dest"),
        "keeps or reads other objects: a versioned bucket keeps old ones",
    ),
    **dict.fromkeys(flag_names("max-transfer max-duration"), "ends the command early"),
    "--name-transform": "changes the names: write `key` of the folder",
    "--metadata-mapper": "changes metadata by a program",
    "--ignore-case": "ignores the case of names in filters",
    "--dry-run": "copies nothing",
    "--interactive": "asks before each copy",
    "--links": "stores symbolic links as files",
    "--delete-excluded": "deletes the objects of excluded files",
    "--one-file-system": "leaves out other file systems",
}
"""The command would copy, replace or delete other objects without them."""
REMARKED: Mapping[str, str] = {
    "--update": "mirrord replaces an object that is newer than its source; `overwrite: owned` protects those of others",
    "--max-delete": "mirrord has its own guard for deletions (see `sync --prune-max`)",
    "--max-delete-size": "mirrord has its own guard for deletions (see `sync --prune-max`)",
    "--suffix-keep-extension": "mirrord keeps no copies under other names",
    "--metadata": "modes, owners and times of files are not stored in metadata",
    "--tpslimit": "a limit by host, of requests to sources only, is daemon.per_host.requests_per_second",
    "--no-check-certificate": "mirrord always verifies certificates: name the authority in ca_file",
    "--client-cert": "client certificates are not carried over",
    "--client-key": "client certificates are not carried over",
    "--client-pass": "client certificates are not carried over",
    "--fix-case": "keys are compared exactly",
    "--ignore-case-sync": "keys are compared exactly",
}
ENTRY: Mapping[str, Mapping[str, Any]] = {
    "--ignore-existing": {"overwrite": "never"},
    "--immutable": {"overwrite": "never"},
    "--no-clobber": {"overwrite": "never"},
    "--copy-links": {"follow_symlinks": True},
}
_CARRIED_VALUES = flag_names(
    "transfers bwlimit exclude include filter header header-upload header-download metadata-set "
    "user-agent ca-cert http-url"
)
_S3_SWITCHES = flag_names(
    "s3-env-auth s3-force-path-style s3-no-check-bucket s3-disable-checksum s3-disable-http2 s3-no-head "
    "s3-no-head-object s3-use-accelerate-endpoint s3-use-dual-stack s3-requester-pays s3-v2-auth "
    "s3-versions s3-version-deleted s3-decompress s3-leave-parts-on-error s3-directory-markers "
    "s3-no-system-metadata s3-use-presigned-request s3-use-arn-region"
)
_S3_VALUES = flag_names(
    "s3-access-key-id s3-secret-access-key s3-session-token s3-provider s3-endpoint s3-region s3-profile "
    "s3-acl s3-storage-class s3-server-side-encryption s3-sse-kms-key-id s3-location-constraint "
    "s3-chunk-size s3-upload-cutoff s3-copy-cutoff s3-upload-concurrency s3-bucket-acl s3-list-chunk "
    "s3-list-version s3-max-upload-parts s3-encoding s3-shared-credentials-file s3-role-arn "
    "s3-sse-customer-algorithm s3-sse-customer-key s3-sse-customer-key-base64 s3-sse-customer-key-md5 "
    "s3-download-url s3-version-at s3-object-lock-mode s3-object-lock-retain-until-date"
)
_SWITCHED = flag_names(
    "update suffix-keep-extension metadata no-check-certificate fix-case ignore-case-sync ignore-case "
    "dry-run interactive links delete-excluded one-file-system ignore-existing immutable no-clobber "
    "copy-links"
)
TABLE = FlagTable(
    values=_NEEDLESS_VALUES | _CARRIED_VALUES | _S3_VALUES | ((HELD.keys() | REMARKED.keys()) - _SWITCHED),
    switches=_NEEDLESS_SWITCHES
    | _SWITCHED
    | _S3_SWITCHES
    | flag_names("auto-filename header-filename stdout urls http-no-head http-no-slash"),
    letters={
        "v": "--verbose", "P": "--progress", "q": "--quiet", "c": "--checksum", "n": "--dry-run", "u": "--update",
        "i": "--interactive", "I": "--ignore-times", "l": "--links", "L": "--copy-links", "M": "--metadata",
        "f": "--filter", "a": "--auto-filename", "p": "--print-filename", "x": "--one-file-system",
    },
)  # fmt: skip
OTHER_COMMANDS: Mapping[str, str] = {
    "bisync": "copies in both directions, and mirrord only from sources to stores",
    "mount": "mounts a store, and mirrord does not",
    "serve": "serves files, and mirrord does not",
    "delete": "deletes, and mirrord deletes only objects whose source is gone",
    "purge": "deletes, and mirrord deletes only objects whose source is gone",
    "check": "compares: see `mirrord verify`",
    "cryptcheck": "compares encrypted remotes",
    "dedupe": "deletes duplicates",
    "cat": "prints objects",
    "cleanup": "removes old versions and uploads: mirrord aborts its own uploads itself",
}
"""Reasons for commands that are no copies."""
