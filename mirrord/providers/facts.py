"""What is known about a provider: facts, each with its source. Pure data types.

Owns the names of the facts and what each means. A fact without a source does not exist: what is unknown is absent, and
`provider` then takes the careful value. The modules beside this one hold the data.
"""

from collections.abc import Mapping
from enum import StrEnum

from mirrord.frozen import frozen
from mirrord.model import ProviderName

FactValue = str | int | bool | tuple[str, ...]


class FactName(StrEnum):
    """The facts, in the order of docs/providers.md. `MEANINGS` describes them."""

    ENDPOINT = "endpoint"
    REGIONS = "regions"
    DEFAULT_REGION = "default_region"
    ADDRESSING = "addressing"
    CHECKSUM = "checksum"
    CHECKSUMS = "checksums"
    TRAILERS = "trailers"
    MIN_PART = "min_part"
    MAX_PART = "max_part"
    MAX_PARTS = "max_parts"
    MAX_PUT = "max_put"
    MAX_OBJECT = "max_object"
    EQUAL_PARTS = "equal_parts"
    MULTIPART_THRESHOLD = "multipart_threshold"
    ETAG = "etag"
    COMPLETE_ETAG = "complete_etag"
    CONDITIONAL_PUTS = "conditional_puts"
    CONDITIONAL_COMPLETES = "conditional_completes"
    CONDITIONAL_COPIES = "conditional_copies"
    CONDITIONAL_DELETES = "conditional_deletes"
    PART_COPIES = "checked_part_copies"
    STORAGE_CLASSES = "storage_classes"
    ACL = "acl"
    TAGS = "tags"
    KEYS = "keys"
    MERGES_SLASHES = "merges_slashes"
    MERGES_UNICODE = "merges_unicode"
    LISTING = "listing"
    VERSIONING = "versioning"
    LATE_ABORT = "late_abort_harmless"
    RATE = "rate"
    FAULTS = "faults"


MEANINGS: Mapping[FactName, str] = {
    FactName.ENDPOINT: "address of the S3 API; `{region}` and `{account_id}` are fields of the store",
    FactName.REGIONS: "all regions; absent: any name is accepted",
    FactName.DEFAULT_REGION: "the region if the store has no `region`",
    FactName.ADDRESSING: "where the name of the bucket may be: in the path, in the host name",
    FactName.CHECKSUM: "the checksum that is sent with `checksum: auto`",
    FactName.CHECKSUMS: "checksums of the whole object that the store verifies",
    FactName.TRAILERS: "checksums in trailers of `aws-chunked` bodies work; mirrord sends none",
    FactName.MIN_PART: "smallest part, except the last",
    FactName.MAX_PART: "largest part",
    FactName.MAX_PARTS: "parts of an upload",
    FactName.MAX_PUT: "largest object in one PutObject or CopyObject",
    FactName.MAX_OBJECT: "largest object",
    FactName.EQUAL_PARTS: "all parts but the last must have the same size",
    FactName.MULTIPART_THRESHOLD: "from this size on, `multipart_threshold: auto` uses parts",
    FactName.ETAG: "what an ETag is",
    FactName.COMPLETE_ETAG: "the ETag in the answer to CompleteMultipartUpload is that of HeadObject",
    FactName.CONDITIONAL_PUTS: "PutObject with `If-None-Match: *` never replaces an object",
    FactName.CONDITIONAL_COMPLETES: "CompleteMultipartUpload with `If-None-Match: *` never replaces an object",
    FactName.CONDITIONAL_COPIES: "CopyObject with `If-None-Match: *` never replaces an object",
    FactName.CONDITIONAL_DELETES: "DeleteObject with `If-Match` deletes no other object",
    FactName.PART_COPIES: "UploadPartCopy works in an upload with a checksum of the whole object",
    FactName.STORAGE_CLASSES: "all names that `storage_class` may have; absent: any",
    FactName.ACL: "canned ACLs of objects",
    FactName.TAGS: "tags of objects",
    FactName.KEYS: "keys that it refuses",
    FactName.MERGES_SLASHES: "`d//x` and `d/x` are one object, and a backslash is a slash",
    FactName.MERGES_UNICODE: "keys that differ only by Unicode normalisation (NFC) are one object",
    FactName.LISTING: "order of keys in listings, and what is special in listings",
    FactName.VERSIONING: "buckets can keep versions",
    FactName.LATE_ABORT: "AbortMultipartUpload after CompleteMultipartUpload does not change the object",
    FactName.RATE: "limits on the rate of requests",
    FactName.FAULTS: "known faults",
}

KEPT, IGNORED, REFUSED = "kept", "ignored", "refused"
"""Values of ACL and TAGS: what the store does with the option."""
PATH_AND_HOST = "path, host name"
"""Value of ADDRESSING."""


@frozen
class Fact:
    """One fact. `source`: the URL of the documentation, or the name and version of what was measured. Sizes in
    bytes."""

    value: FactValue
    source: str


@frozen
class FactSheet:
    """All that is known about one provider. `title` is its name for people."""

    name: ProviderName
    title: str
    facts: Mapping[FactName, Fact]

    def value(self, name: FactName) -> FactValue | None:
        """None: unknown."""
        fact = self.facts.get(name)
        return None if fact is None else fact.value

    def text(self, name: FactName) -> str | None:
        """The value of a fact that is one text; None: unknown."""
        value = self.value(name)
        return value if isinstance(value, str) else None

    def texts(self, name: FactName) -> tuple[str, ...]:
        """The value of a fact that is several texts; empty: unknown."""
        value = self.value(name)
        return value if isinstance(value, tuple) else ()


def sheet(
    name: ProviderName, title: str, *groups: tuple[str, Mapping[FactName, FactValue]], based_on: FactSheet | None = None
) -> FactSheet:
    """The facts of a provider, in groups of one source each. Those of `based_on` apply where no group has another."""
    facts = dict(based_on.facts) if based_on is not None else {}
    for source, values in groups:
        facts |= {fact: Fact(value, source) for fact, value in values.items()}
    return FactSheet(name, title, facts)
