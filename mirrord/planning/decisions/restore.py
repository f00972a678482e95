"""Whether a version of an item's object can be made current. Pure: owns the reasons and their texts."""

from mirrord.model import META_TRANSFER, ObjectVersion, Overwrite, Record, StoredObject
from mirrord.planning.decisions.object_identity import is_recorded


def unknown_item(record: Record | None) -> str | None:
    """Why no version of this item can be restored; None: it can be."""
    if record is None or record.removed is not None:
        return "it is not in the manifests: only an item in force can be restored"
    if record.revision is None:
        return "it was never in sync, so no source revision is recorded: wait for its first copy, or run `mirrord sync`"
    return None


def refusal(versioning: str | None, found: ObjectVersion | None, at: str, version_id: str) -> str | None:
    """Why the version cannot be made current; None: it can be. `found`: what the store lists with this id."""
    if found is None and versioning is None:
        bucket = at.removeprefix("s3://").partition("/")[0]
        return (
            f"the bucket {bucket} keeps no versions, so there is nothing to restore; to keep them from now on, enable "
            "its versioning at the store, or declare buckets: {…: {versioning: true}} before mirrord creates it"
        )
    if found is None:
        return f"{at} has no version {version_id}; `mirrord history` names its versions"
    if found.deleted:
        return f"{version_id} is a delete marker of {at}, without bytes; restore the version before it"
    return None


def covered(record: Record, current: StoredObject | None, overwrite: Overwrite) -> str | None:
    """Why the version may not cover the object that is current now; None: it may. The recorded object may be covered
    whatever `overwrite` says: the user asks for it."""
    if current is None or overwrite is Overwrite.ALWAYS or is_recorded(record, current):
        return None
    if overwrite is Overwrite.OWNED and META_TRANSFER in current.metadata:
        return None
    return (
        f"{record.destination} was replaced by another program, and overwrite is {overwrite}: delete that object, or "
        "change `overwrite`"
    )
