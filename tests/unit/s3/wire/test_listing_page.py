"""Pages of ListObjectsV2 are read as the SDK reads them, or left to its parser."""

from typing import Any

import pytest
from botocore.loaders import create_loader
from botocore.model import ServiceModel
from botocore.parsers import create_parser

from mirrord.s3.wire.listing_page import listing_page

ENTRY = (
    "<Contents><Key>{}</Key><LastModified>2026-11-28T19:30:00.000Z</LastModified>"
    "<ETag>{}</ETag><Size>{}</Size></Contents>"
)
OUTER = "<Name>b</Name><Prefix>Key</Prefix><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"


def page(*entries: str, outer: str = OUTER, before: str = '<?xml version="1.0" encoding="UTF-8"?>\n') -> str:
    root = '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    return f"{before}{root}{outer}{''.join(entries)}</ListBucketResult>"


def plain(key: str = "k", etag: str = "&quot;e&quot;", size: object = 1) -> str:
    return ENTRY.format(key, etag, size)


READ = {
    "empty": page(),
    "two": page(plain("a"), plain("b", size=5 * 2**40)),
    "entities": page(plain("a&amp;b&lt;c&gt;&quot;&apos;&#65;&#x41;&#x1F600;&#13;", "&#34;e&#34;")),
    "a double entity": page(plain("a&amp;lt;", "&quot;&amp;quot;&quot;")),
    "an ETag with an entity inside": page(
        plain(etag="&quot;&amp;quot;&quot;"), plain(etag="&quot;"), plain(etag='"e"')
    ),
    "empty values": page(plain("", "")),
    "spaces in a key": page(plain(" a  b ")),
    "not ASCII": page(plain("ü/漢/😀")),
    "indented": page("\n  " + plain().replace("><", ">\n    <") + "\n"),
    "Owner and more": page(
        plain().replace("<Size>", "<Owner><ID>i</ID><DisplayName>d</DisplayName></Owner><Size>"),
        outer="<KeyCount>1</KeyCount>",
    ),
    "the token after the entries": page(
        plain(), "<NextContinuationToken>a&amp;b==</NextContinuationToken>", outer="<IsTruncated>true</IsTruncated>"
    ),
    "without a declaration": page(plain(), before=""),
    "a size in spaces": page(plain(size=" 7 ")),
}
LEFT = {
    "CDATA": page(plain("<![CDATA[a<b]]>")),
    "a comment": page(plain(), "<!-- <Contents> -->"),
    "a document type": page(plain(), before="<!DOCTYPE x>"),
    "an attribute": page(plain().replace("<Contents>", '<Contents a="b">')),
    "an attribute of a key": page(plain().replace("<Key>", '<Key a="b">')),
    "a prefix": page(plain().replace("Contents>", "s3:Contents>")),
    "an empty element": page(plain().replace("<Key>k</Key>", "<Key/>")),
    "a field between the entries": page(plain(), "<IsTruncated>true</IsTruncated>", plain(), outer=""),
    "no size": page(plain().replace("<Size>1</Size>", "")),
    "an entry that is not closed": page("<Contents>" + plain()),
    "two keys": page(plain().replace("<Key>", "<Key>j</Key><Key>")),
    "common prefixes": page(outer="<CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes>"),
    "a carriage return": page(plain("a\rb")),
    "an unknown entity": page(plain("&nbsp;")),
    "an ampersand": page(plain("a&b")),
    "a surrogate": page(plain("&#xD800;")),
    "another encoding": page(plain(), before="<?xml version='1.0' encoding='latin-1'?>"),
    "cut": page(plain())[:-30],
    "cut in an entry": page(plain())[:-60] + "</ListBucketResult>",
    "an error": "<Error><Code>SlowDown</Code></Error>",
    "another root": page(plain()).replace("ListBucketResult", "ListBucketVersions"),
    "a size that is none": page(plain(size="many")),
}


def read_by_sdk(text: str) -> dict[str, Any]:
    model = ServiceModel(create_loader().load_service_model("s3", "service-2")).operation_model("ListObjectsV2")
    answer = {"headers": {}, "status_code": 200, "body": text.encode(), "context": {}}
    return create_parser("rest-xml").parse(answer, model.output_shape)  # type: ignore[no-any-return]


@pytest.mark.parametrize("text", READ.values(), ids=READ)
def test_a_page_is_read_as_by_the_sdk(text: str) -> None:
    ours, theirs = listing_page(text.encode()), read_by_sdk(text)
    assert ours is not None
    wanted = [{name: one[name] for name in ("Key", "Size", "ETag")} for one in theirs.get("Contents", [])]
    assert ours["Contents"] == wanted
    for name in ("IsTruncated", "NextContinuationToken", "EncodingType"):
        assert ours.get(name) == theirs.get(name, False if name == "IsTruncated" else None)


@pytest.mark.parametrize("text", LEFT.values(), ids=LEFT)
def test_an_unusual_page_is_left_to_the_sdk(text: str) -> None:
    assert listing_page(text.encode()) is None


def test_an_indented_or_capital_truth_is_true() -> None:
    """The SDK reads it as false: then a part of the list would count as the whole."""
    read = listing_page(page(outer="<IsTruncated>\n TRUE\n</IsTruncated>").encode())
    assert read is not None
    assert read["IsTruncated"]


def test_a_page_that_is_not_utf_8_is_left_to_the_sdk() -> None:
    assert listing_page(page(plain("ü")).encode("latin-1")) is None
