"""Which evidence shows that an object of another tool has the source's bytes: tables."""

from base64 import b64encode
from dataclasses import replace
from hashlib import md5, sha256

import pytest

from mirrord.checksums import MultipartMD5, compute
from mirrord.model import (
    Checksum,
    ChecksumKind,
    Destination,
    FileIdentity,
    Item,
    Observed,
    Revision,
    StoredObject,
    origin_at,
)
from mirrord.planning.decisions.adoption import (
    Reading,
    equal_checksum,
    equals_file,
    equals_object,
    evidence,
    may_be_equal,
    part_sizes,
    reading,
)
from mirrord.units import GiB, MiB, TiB
from tests.support.options import make_options

CRC64, CRC32C, CRC32, SHA, MD5 = (
    ChecksumKind.CRC64NVME,
    ChecksumKind.CRC32C,
    ChecksumKind.CRC32,
    ChecksumKind.SHA256,
    ChecksumKind.MD5,
)
BODY = b"body"
HEX = md5(BODY).hexdigest()
WHOLE, PARTED, ODD = f'"{HEX}"', f'"{HEX}-2"', '"opaque"'


def of(kind: ChecksumKind, body: bytes = BODY) -> Checksum:
    found = compute(kind, memoryview(body))
    assert found is not None
    return found


def stored(etag: str, checksum: Checksum | None = None, size: int = len(BODY)) -> StoredObject:
    return StoredObject(size=size, etag=etag, checksum=checksum)


def item(**options: object) -> Item:
    at = Destination("default", "http://store", "bucket", "key")
    return Item(id="i", entry="e", origin=origin_at("http://s/x"), destination=at, options=make_options(**options))


FILE = Observed(revision=Revision(address="a", length=len(BODY), file=FileIdentity(1, 2, len(BODY), 3, 4)), ranges=True)
URL = Observed(revision=Revision(address="a", length=len(BODY), etag='"1"'))
UNKNOWN = Observed(revision=Revision(address="a", etag='"1"'))


@pytest.mark.parametrize(
    ("source", "standing", "options", "expected"),
    [
        (FILE, stored(WHOLE), {}, True),
        (FILE, stored(HEX), {}, True),  # some stores send it without quotes
        (FILE, stored(PARTED), {}, True),
        (FILE, stored(ODD, of(CRC64)), {}, True),
        (FILE, stored(ODD, of(CRC32)), {}, True),
        (FILE, stored(ODD), {}, False),
        (FILE, stored(""), {}, False),
        (FILE, stored(f'W/"{HEX}"'), {}, False),
        (FILE, stored(f'"{HEX}-0"'), {}, False),
        (FILE, stored(WHOLE, size=5), {}, False),
        (FILE, stored(WHOLE), {"adopt": False}, False),
        (URL, stored(WHOLE), {}, True),
        (URL, stored(ODD, of(CRC64)), {}, True),
        (URL, stored(PARTED), {}, False),
        (UNKNOWN, stored(WHOLE), {}, False),
    ],
)
def test_what_is_compared_at_all(source: Observed, standing: StoredObject, options: dict, expected: bool) -> None:  # type: ignore[type-arg]
    assert may_be_equal(item(**options), source, standing) is expected


@pytest.mark.parametrize(
    ("standing", "kinds"),
    [
        (stored(WHOLE), (CRC64, MD5)),
        (stored(WHOLE, of(CRC64)), (CRC64,)),  # the strong one suffices
        (stored(WHOLE, of(SHA)), (CRC64, SHA)),
        (stored(WHOLE, of(CRC32)), (CRC64, CRC32, MD5)),  # 32 bits alone are weak
        (stored(WHOLE, of(CRC32C)), (CRC64, CRC32C, MD5)),
        (stored(PARTED, of(CRC32C)), (CRC64, CRC32C)),
        (stored(ODD, of(CRC32)), (CRC64, CRC32)),
        (replace(stored(WHOLE, of(CRC32)), has_key=True), (CRC64, CRC32)),  # the ETag is no MD5 then
        (replace(stored(WHOLE), has_key=True), (CRC64, MD5)),
    ],
)
def test_the_checksums_that_a_file_is_read_for(standing: StoredObject, kinds: tuple[ChecksumKind, ...]) -> None:
    shown = evidence(standing)
    assert reading(shown) == Reading(kinds)
    found = [of(kind) for kind in kinds]
    assert equals_file(shown, len(BODY), found, [])
    assert not equals_file(shown, len(BODY) + 1, found, [])
    for kind in kinds:
        changed = [of(one, b"bodx" if one is kind else BODY) for one in kinds]
        needed = kind is not CRC64 or standing.checksum == of(CRC64)
        assert equals_file(shown, len(BODY), changed, []) is not needed


def test_an_upload_in_parts_is_compared_by_its_etag() -> None:
    shown = evidence(stored(f'"{HEX.upper()}-2"', size=10 * MiB))
    assert reading(shown).kinds == (CRC64,)
    assert 8 * MiB in reading(shown).part_sizes
    assert equals_file(shown, 10 * MiB, [], [f"{'0' * 32}-2", f"{HEX}-2"])
    assert not equals_file(shown, 10 * MiB, [], [f"{HEX}-3"])


@pytest.mark.parametrize(
    ("standing", "stated", "equal"),
    [
        (stored(WHOLE), [of(MD5)], of(MD5)),
        (stored(WHOLE), [of(SHA)], None),  # nothing of the same kind
        (stored(WHOLE), [of(SHA, b"x"), of(MD5)], of(MD5)),
        (stored(WHOLE), [of(MD5, b"x")], None),
        (stored(WHOLE), [of(MD5), of(MD5, b"x")], None),  # the source contradicts itself
        (stored(WHOLE), [of(MD5), of(MD5)], of(MD5)),
        (stored(WHOLE), [], None),
        (stored(WHOLE, of(CRC64)), [of(MD5)], of(MD5)),  # as AWS shows each object
        (stored(WHOLE, of(SHA)), [of(SHA), of(MD5)], of(SHA)),
        (stored(WHOLE, of(SHA)), [of(SHA, b"x"), of(MD5)], None),
        (stored(ODD, of(SHA)), [of(SHA)], of(SHA)),
        (stored(PARTED), [of(MD5)], None),
        (stored(WHOLE, of(SHA)), [of(SHA), of(MD5, b"x")], of(SHA)),  # its ETag is no MD5: encrypted
        (stored(WHOLE, of(CRC32)), [of(CRC32), of(MD5, b"x")], None),
    ],
)
def test_what_a_source_states(standing: StoredObject, stated: list[Checksum], equal: Checksum | None) -> None:
    assert equal_checksum(evidence(standing), stated) == equal


@pytest.mark.parametrize(
    ("standing", "source", "equal"),
    [
        (stored(WHOLE), stored(WHOLE), True),
        (stored(WHOLE), stored(WHOLE, size=5), False),
        (stored(PARTED), stored(PARTED), True),
        (stored(PARTED), stored(f'"{HEX}-3"'), False),
        (stored(PARTED), stored(WHOLE), False),
        (stored(PARTED, of(CRC64)), stored(WHOLE, of(CRC64)), True),
        (stored(PARTED, of(CRC64)), stored(PARTED, of(CRC64, b"x")), False),
        (stored(ODD), stored(ODD), False),
    ],
)
def test_an_object_as_a_source(standing: StoredObject, source: StoredObject, equal: bool) -> None:
    assert equals_object(evidence(standing), evidence(source)) is equal


@pytest.mark.parametrize(
    ("length", "part_size", "tool"),
    [
        (17 * MiB, 8 * MiB, "aws"),
        (100 * MiB, 8 * MiB, "aws"),
        (201 * MiB, 5 * MiB, "rclone"),
        (51 * MiB, 50 * MiB, "s5cmd"),
        (GiB + 1, 16 * MiB, "mc"),
        (GiB + 1, 64 * MiB, "hadoop"),
        (40 * MiB, 15 * MiB, "s3cmd"),
        (13 * MiB, 7 * MiB, "an odd setting"),
        (13_000_000, 5_000_000, "decimal"),
        (30_000_001, 10_000_001, "equal shares"),
        (30_000_000, 10_000_000, "equal shares without a rest"),
        (100 * GiB, 11 * MiB, "rclone, grown: whole MiB"),
        (200 * GiB, 200 * GiB // 10_000 + 1, "the SDK for Go, grown"),
        (100 * GiB, 16 * MiB, "the CLI, doubled"),
        (5 * TiB, 525 * MiB, "rclone, the largest object"),
        (5 * TiB, 528 * MiB, "mc, the largest object: a multiple of 16 MiB"),
        (4 * MiB, 5 * MiB, "one part"),
        (5 * MiB, 5 * MiB, "one whole part"),
        (1, 1, "a byte"),
    ],
)
def test_the_part_sizes_of_tools_are_tried(length: int, part_size: int, tool: str) -> None:
    parts = -(-length // part_size)
    tried = part_sizes(length, parts)
    assert part_size in tried or tried == [length], tool
    assert all(-(-length // size) == parts for size in tried)
    assert len(tried) == len(set(tried)) <= 64
    assert length < 2 * GiB or len(tried) * length <= max(8 * length, 16 * GiB)


@pytest.mark.parametrize(
    ("sizes", "passes"),
    [((), [()]), ((1, 2, 3), [(1, 2, 3)]), ((1, 2, 3, 4), [(1, 2, 3), (4,)])],
)
def test_the_passes_over_the_bytes(sizes: tuple[int, ...], passes: list[tuple[int, ...]]) -> None:
    assert Reading((CRC64,), sizes).passes == passes


@pytest.mark.parametrize(("length", "parts"), [(0, 1), (3, 4), (10, 7), (10, 0)])
def test_lengths_that_no_equal_parts_make(length: int, parts: int) -> None:
    assert part_sizes(length, parts) == []


@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 20, 25])
@pytest.mark.parametrize("step", [1, 3, 10, 64])
def test_the_etag_of_parts(size: int, step: int) -> None:
    body = bytes(range(size))
    parts = [body[at : at + 10] for at in range(0, size, 10)] or [b""]
    running = MultipartMD5(10)
    for at in range(0, size, step):
        running.update(memoryview(body)[at : at + step])
        running.etag()  # may be asked at any time
    whole = md5(b"".join(md5(part).digest() for part in parts)).hexdigest()
    assert running.etag() == f"{whole}-{len(parts)}"


def test_base64_of_an_etag_is_that_of_checksums() -> None:
    (shown,) = evidence(stored(WHOLE)).whole
    assert shown == Checksum(MD5, b64encode(md5(BODY).digest()).decode()) == of(MD5)
    assert of(SHA).value == b64encode(sha256(BODY).digest()).decode()
