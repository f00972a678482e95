"""The headers and metadata of an object."""

from dataclasses import fields, replace
from mimetypes import MimeTypes

import pytest

from mirrord.model import FileIdentity, ObjectOptions, Observed, Revision
from mirrord.planning.decisions.describe import content_type, described, validator


@pytest.mark.parametrize(
    ("manifest", "header", "key", "expected"),
    [
        ("text/x-mine", "text/html", "a.csv", "text/x-mine"),
        (None, "text/html; charset=utf-8", "a.csv", "text/html; charset=utf-8"),
        (None, None, "a.csv", "text/csv"),
        (None, None, "A.CSV", "text/csv"),
        (None, None, "geo/city.mmdb", "application/octet-stream"),
        (None, None, "no-extension", "application/octet-stream"),
        (None, None, "dir.csv/name", "application/octet-stream"),
        (None, None, "a-1.0.tar.gz", "application/gzip"),
        (None, None, "dump.sql.xz", "application/x-xz"),
        (None, "", "a.json", "application/json"),
    ],
)
def test_content_type(manifest: str | None, header: str | None, key: str, expected: str) -> None:
    observed = Observed(revision=Revision(address="a"), content_type=header)
    assert content_type(ObjectOptions(content_type=manifest), observed, key) == expected


NAMES = [
    *("", ".", "..", "a", ".gz", ".a.csv", "..a.b.tar.gz", "a.", "a.csv.", "a b.TGZ", "a.b/c", "a:b.csv", "data:a.csv"),
    *("a.csv:x", "a.gz.gz", "x.bin", "x.html?q.txt", "x.txt#a", "x.svgz", "x.unknown.Z"),
]


@pytest.mark.parametrize("name", NAMES)
def test_the_type_of_a_name_is_that_of_pythons_own_table(name: str) -> None:
    guessed, encoding = MimeTypes().guess_type(name.rpartition("/")[2])
    found = content_type(ObjectOptions(), Observed(revision=Revision(address="a")), name)
    if encoding is None:
        assert found == (guessed or "application/octet-stream")
    else:
        assert found.startswith("application/")
        assert found != guessed


def test_own_metadata_is_added_to_that_of_the_manifest() -> None:
    digest = "0" * 64
    observed = Observed(revision=Revision(address="a", etag='"1"', digest=f"sha256:{digest}"), content_encoding="gzip")
    whole = described(ObjectOptions(metadata={"team": "data"}, acl="private"), observed, "k.csv", "t1")
    assert whole.metadata == {
        "team": "data",
        "mirrord-transfer": "t1",
        "mirrord-validator": validator(observed.revision),
        "mirrord-sha256": digest,
    }
    assert (whole.acl, whole.content_encoding, whole.content_type) == ("private", "gzip", "text/csv")
    manifest = ObjectOptions(content_encoding="br")
    assert described(manifest, observed, "k", "t1").content_encoding == "br"


def test_a_source_without_validators_has_no_validator() -> None:
    observed = Observed(revision=Revision(address="a", length=3))
    assert validator(observed.revision) is None
    assert described(ObjectOptions(), observed, "k", "t1").metadata == {"mirrord-transfer": "t1"}


@pytest.mark.parametrize(
    "revision",
    [
        Revision(address="a", etag='"1"'),
        Revision(address="a", etag='"' + "x" * 5000 + '"'),
        Revision(address="a", etag='"naïve\n"'),
        Revision(address="a", last_modified="Thu, 01 Jan 1970 00:00:00 GMT"),
        Revision(address="a", file=FileIdentity(1, 2, 3, 4, 5)),
    ],
)
def test_a_validator_fits_a_header_and_contains_the_address(revision: Revision) -> None:
    text = validator(revision)
    assert text is not None
    assert text.isascii()
    assert text.isprintable()
    assert len(text) < 300
    other = Revision(address="b", etag=revision.etag, last_modified=revision.last_modified, file=revision.file)
    assert validator(other) != text


def test_every_other_option_is_kept() -> None:
    named = {one.name: f"the {one.name}" for one in fields(ObjectOptions) if one.name not in ("metadata", "tags")}
    options = ObjectOptions(**named, metadata={"a": "b"}, tags={"c": "d"})  # type: ignore[arg-type]
    found = described(options, Observed(revision=Revision(address="0")), "k", "t")
    assert found == replace(options, metadata={"a": "b", "mirrord-transfer": "t"})
