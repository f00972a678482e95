"""What each reason means, and what the operator does about it: the one table for pages and answers.

Owns these texts. The reasons are in `errors`; the message of an item says what exactly failed.
"""

from collections.abc import Mapping
from types import MappingProxyType

from mirrord.errors import Reason
from mirrord.frozen import frozen


@frozen
class Advice:
    """`meaning`: why the item is not Synced. `action`: what to do, or that nothing has to be done. Names of
    fields and commands are in backquotes. `page`: the page of docs/ that says more; empty: none."""

    meaning: str
    action: str
    page: str = ""


ADVICE: Mapping[Reason, Advice] = MappingProxyType({
    Reason.SOURCE_MISSING: Advice(
        "The URL answers 404 or 410, or there is no such file or object.",
        "Correct the address, or remove the entry. The object stays, unless the entry has `prune`.",
    ),
    Reason.SOURCE_DENIED: Advice(
        "The source answers 401 or 403, or the user of mirrord may not read the file.",
        "Give the entry `headers` or a URL with userinfo, or give the user the right to read; then `mirrord trigger`.",
    ),
    Reason.SOURCE_UNAVAILABLE: Advice(
        "The source answers 5xx or 429, refuses connections, is too slow, or ends before its length.",
        "Wait: it is tried again with growing pauses. If it stays, run `mirrord doctor`, and try the URL with curl on "
        "the same machine: DNS, proxies, certificates.",
        "connections.md",
    ),
    Reason.SOURCE_CHANGED: Advice(
        "The source was replaced during the transfer. No mixture of both was stored.",
        "Wait: the transfer starts again. If it stays, the source changes faster than it can be read: use a schedule "
        "for a quiet time, or for files a longer `settle`.",
    ),
    Reason.SOURCE_REFUSED: Advice(
        "A rule of the manifest or of mirrord forbids what the source offers: a redirect, an address, a content type, "
        "a name that makes no valid key.",
        "Read the message: it names the rule. Change the source or the field.",
    ),
    Reason.STILL_GROWING: Advice(
        "The file of a folder was changed within the last `settle`.",
        "Wait until its writer has ended. If a file is written to for ever, like a log, exclude it.",
    ),
    Reason.NO_MARKER: Advice(
        "The folder has `ready`, and the marker of this file does not exist yet.",
        "Let the writer create the marker last, or remove `ready`.",
    ),
    Reason.STORE_DENIED: Advice(
        "The store refuses the credentials, or their policy does not allow the call.",
        "Run `mirrord doctor`: it says which of both. Correct the credentials or the policy.",
        "rights.md",
    ),
    Reason.STORE_UNAVAILABLE: Advice(
        "The store answers 5xx, 429 or SlowDown, does not answer, or the answer to a write was lost.",
        "Wait: it is tried again, and a lost answer is resolved by a HEAD first. If it stays, run `mirrord doctor`.",
    ),
    Reason.STORE_REFUSED: Advice(
        "The store refuses the request, and a retry would be refused too.",
        "Read the message. Often the store lacks a feature that the manifest asks for.",
        "providers.md",
    ),
    Reason.BUCKET_MISSING: Advice(
        "The bucket does not exist at this store, or not in this region.",
        "Create it, or correct `to`, `endpoint_url` or `region`. Of an embedded store: `buckets: {B: {create: true}}`.",
    ),
    Reason.CONFLICT: Advice(
        "Another source has the same object, or `overwrite` protects the object that is there.",
        "Change one `to`, or delete the object; `overwrite: always` replaces objects of others.",
    ),
    Reason.CHECKSUM_MISMATCH: Advice(
        "The bytes differ from the declared `checksum`, or from what the store returned.",
        "Compare the declared value with the publisher's. If it is right, the source or the network damages the bytes.",
    ),
    Reason.TOO_LARGE: Advice(
        "The source is larger than `max_size`, or than the store or `memory_limit` allows.",
        "Raise the limit that the message names.",
    ),
    Reason.DRIFTED: Advice(
        "Another program deleted or replaced the object, and `drift: report` or a restored version forbids the repair.",
        "Find that program. Then restore a version with `mirrord restore`, or set `drift: repair`.",
    ),
    Reason.PRUNE_GUARD: Advice(
        "A pass would delete many objects, or the list or folder is empty, so nothing was deleted.",
        "If the deletion is right, allow it: `mirrord sync --prune-max 100%` once, or `prune: {max: 100%}`. Else "
        "repair the list or folder; `prune: false` keeps the objects.",
        "manifest.md",
    ),
    Reason.JOURNAL_UNAVAILABLE: Advice(
        "The journal cannot be read or written. No item is checked meanwhile.",
        "Free disk space, or repair the volume; `/readyz` tells when it works again.",
        "how-to/lost-journal.md",
    ),
    Reason.SCHEDULE: Advice(
        "The entry has `cron`, and its first time has not come yet.",
        "Nothing. `mirrord trigger` checks it now.",
    ),
    Reason.INTERNAL_ERROR: Advice(
        "mirrord failed in a way that it does not expect.",
        "Report it with the log lines of the item. It is checked again at its next time.",
    ),
})  # fmt: skip
