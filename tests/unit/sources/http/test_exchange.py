"""The target and the bytes of a request."""

from collections.abc import Mapping

import pytest

from mirrord._version import __version__
from mirrord.sources.http.exchange import request_head, request_target

OWN = f"Host: h:81\r\nUser-Agent: mirrord/{__version__}\r\nAccept: */*\r\n"


@pytest.mark.parametrize(
    ("headers", "lines"),
    [
        ({}, OWN),
        ({"Accept-Encoding": "identity", "X": "ä"}, f"{OWN}Accept-Encoding: identity\r\nX: ä\r\n"),
        ({"host": "other", "accept": "a/b"}, f"host: other\r\nUser-Agent: mirrord/{__version__}\r\naccept: a/b\r\n"),
    ],
)
def test_the_head_of_a_request(headers: Mapping[str, str], lines: str) -> None:
    assert request_head("/x?y", "h:81", headers) == f"GET /x?y HTTP/1.1\r\n{lines}\r\n".encode()


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nX: y", "a\r", "a\0", "\ud800"])
@pytest.mark.parametrize("in_name", [False, True])
def test_no_header_can_add_another_line(value: str, in_name: bool) -> None:
    with pytest.raises(ValueError, match=r"line break|surrogates"):
        request_head("/", "h", {value: "b"} if in_name else {"A": value})


@pytest.mark.parametrize(
    ("url", "place", "target"),
    [
        ("http://h/a%2Fb?X-Sig=a%2Fb%3D+c~*'()", "http://h", "/a%2Fb?X-Sig=a%2Fb%3D+c~*'()"),
        ("http://h/ä b", "http://h", "/%C3%A4%20b"),
        ("http://h/\udcff", "http://h", "/%FF"),
        ('http://h/"<>{}|\\^`', "http://h", "/%22%3C%3E%7B%7D%7C%5C%5E%60"),
        ("http://h/a\r\nX: y", "http://h", "/a%0D%0AX:%20y"),
        ("http://[::1]:80/x", "http://[::1]:80", "/x"),
        ("https://h:8443", "https://h:8443", "/"),
        ("http://h?a=1", "http://h", "/?a=1"),
        ("http://h?a=ä", "http://h", "/?a=%C3%A4"),
        ("http://h/a/../b//c?d?e", "http://h", "/a/../b//c?d?e"),
        ("http://h/a#b", "http://h", "/a"),
    ],
)
def test_only_illegal_characters_of_a_target_are_encoded(url: str, place: str, target: str) -> None:
    assert request_target(url) == (place, target)
