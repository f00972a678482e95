"""What an answer, or a HEAD, proves about a copy; a provider's profile proves nothing."""

import pytest

from mirrord import checksums
from mirrord.errors import ChecksumMismatch, LengthMismatch
from mirrord.model import Checksum, ChecksumKind, Integrity, Part, Revision, StoredObject
from mirrord.transfer import proof

BODY = b"some bytes"
HEADERS = [ChecksumKind.CRC64NVME, ChecksumKind.CRC32C, ChecksumKind.CRC32, ChecksumKind.SHA256]


def of(kind: ChecksumKind, body: bytes = BODY) -> Checksum:
    found = checksums.compute(kind, memoryview(body))
    assert found is not None
    return found


def etag_of(body: bytes) -> str:
    return f'"{checksums.hexadecimal(of(ChecksumKind.MD5, body))}"'


def stored(checksum: Checksum | None = None, etag: str = '"e"', *, head: bool = False) -> StoredObject:
    return StoredObject(size=len(BODY), etag=etag, checksum=checksum, from_head=head)


@pytest.mark.parametrize("kind", HEADERS)
def test_a_put_is_proven_if_the_answer_shows_its_checksum(kind: ChecksumKind) -> None:
    assert proof.of_put(of(kind), stored(of(kind)), len(BODY)) is Integrity.FULL_OBJECT
    assert proof.of_put(of(kind), stored(), len(BODY)) is Integrity.LENGTH
    assert proof.of_put(of(kind), stored(etag=etag_of(BODY)), len(BODY)) is Integrity.LENGTH


def test_an_md5_counts_only_if_the_etag_is_equal() -> None:
    sent = of(ChecksumKind.MD5)
    assert proof.of_put(sent, stored(etag=etag_of(BODY)), len(BODY)) is Integrity.MD5
    assert proof.of_put(sent, stored(etag=etag_of(BODY).upper()), len(BODY)) is Integrity.MD5
    assert proof.of_put(sent, stored(etag='"f00"'), len(BODY)) is Integrity.LENGTH


def test_without_a_checksum_the_level_is_length() -> None:
    assert proof.of_put(None, stored(of(ChecksumKind.CRC32)), len(BODY)) is Integrity.LENGTH


@pytest.mark.parametrize("kind", HEADERS)
def test_other_bytes_are_refused(kind: ChecksumKind) -> None:
    with pytest.raises(ChecksumMismatch):
        proof.of_put(of(kind), stored(of(kind, b"other")), len(BODY))
    with pytest.raises(LengthMismatch):
        proof.of_put(of(kind), stored(of(kind)), len(BODY) + 1)


def parts(kind: ChecksumKind, etags: bool = True) -> list[Part]:
    cut = (BODY[:4], BODY[4:])
    return [
        Part(number=number, size=len(piece), etag=etag_of(piece) if etags else '"e"', checksum=of(kind, piece))
        for number, piece in enumerate(cut, 1)
    ]


def composite(kind: ChecksumKind, swapped: bool = False) -> Checksum:
    digests = [part.checksum for part in parts(kind) if part.checksum is not None]
    found = checksums.composite(kind, digests[::-1] if swapped else digests)
    assert found is not None
    return found


def test_a_composite_checksum_is_that_of_the_digests() -> None:
    """The value that weed shows of 5 MiB of x and then yy."""
    sent = [of(ChecksumKind.SHA256, b"x" * (5 << 20)), of(ChecksumKind.SHA256, b"yy")]
    found = checksums.composite(ChecksumKind.SHA256, sent)
    assert found == Checksum(ChecksumKind.SHA256, "Tn+ymj3jPXOCn8KbdqpxYpA3OHY4azTp0CmaEvMQib8=")


@pytest.mark.parametrize("kind", HEADERS)
def test_a_composite_checksum_counts_if_a_head_shows_it(kind: ChecksumKind) -> None:
    shown = StoredObject(size=len(BODY), etag='"e-2"', composite=composite(kind), from_head=True)
    assert proof.of_multipart(None, parts(kind), shown, len(BODY)) is Integrity.COMPOSITE
    said = StoredObject(size=len(BODY), etag='"e-2"', composite=composite(kind))
    assert proof.of_multipart(None, parts(kind), said, len(BODY)) is Integrity.LENGTH
    assert proof.of_multipart(None, parts(kind), stored(head=True), len(BODY)) is Integrity.LENGTH
    false = StoredObject(size=len(BODY), etag='"e-2"', composite=composite(kind, swapped=True), from_head=True)
    with pytest.raises(ChecksumMismatch):
        proof.of_multipart(None, parts(kind), false, len(BODY))


def test_a_multipart_upload_is_proven_by_its_whole_checksum_or_by_the_etags_of_md5_parts() -> None:
    whole, crc = of(ChecksumKind.CRC64NVME), parts(ChecksumKind.CRC64NVME)
    assert proof.of_multipart(whole, crc, stored(whole), len(BODY)) is Integrity.FULL_OBJECT
    assert proof.of_multipart(whole, crc, stored(), len(BODY)) is Integrity.LENGTH
    assert proof.of_multipart(None, parts(ChecksumKind.MD5), stored(), len(BODY)) is Integrity.MD5
    assert proof.of_multipart(None, parts(ChecksumKind.MD5, etags=False), stored(), len(BODY)) is Integrity.LENGTH
    assert proof.of_multipart(None, [], stored(), len(BODY)) is Integrity.LENGTH


MD5 = etag_of(BODY)
IN_PARTS = f'{MD5[:-1]}-2"'


@pytest.mark.parametrize(
    ("source", "length", "shown", "expected"),
    [
        (MD5, len(BODY), MD5, True),
        (MD5, len(BODY), MD5.upper(), True),
        (IN_PARTS, len(BODY), IN_PARTS, True),
        (MD5, len(BODY), etag_of(b"other"), False),
        (MD5, len(BODY) + 1, MD5, False),
        (f"W/{MD5}", len(BODY), f"W/{MD5}", False),
        ('"1"', len(BODY), '"1"', False),  # of a server that counts versions
        (None, len(BODY), "", False),
    ],
)
def test_the_etag_of_the_source_shows_its_bytes(source: str | None, length: int, shown: str, expected: bool) -> None:
    assert proof.has_etag_of(Revision(address="a", etag=source, length=length), stored(etag=shown)) is expected
