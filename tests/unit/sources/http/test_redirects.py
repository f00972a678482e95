"""Where a redirect may lead, and how a URL is written on the wire."""

import pytest

from mirrord.errors import SourceRefused
from mirrord.sources.http.network import legal, redirected


@pytest.mark.parametrize(
    ("here", "location", "there"),
    [
        ("http://h/a/b", "c", "http://h/a/c"),
        ("http://h/a/b", "/c%2Fd?x=%41#f", "http://h/c%2Fd?x=%41"),
        ("http://h/a", "//i/c", "http://i/c"),
        ("https://h/a", "//i/c", "https://i/c"),
        ("http://h/a", "HTTPS://i/c", "https://i/c"),
        ("https://h/a", "https://i:444/c", "https://i:444/c"),
    ],
)
def test_a_location_is_followed(here: str, location: str, there: str) -> None:
    assert redirected(here, location) == there


@pytest.mark.parametrize(
    ("here", "location", "why"),
    [
        ("http://h/a", None, "without a Location"),
        ("http://h/a", "", "without a Location"),
        ("https://h/a", "http://h/a", "from https to http"),
        ("https://h/a", "HTTP://h/a", "from https to http"),
        ("http://h/a", "ftp://h/a", "another scheme"),
        ("http://h/a", "file:///etc/passwd", "another scheme"),
        ("http://h/a", "javascript:alert(1)", "another scheme"),
        ("http://h/a", "http://[bad/", "malformed"),
    ],
)
def test_a_location_is_refused(here: str, location: str | None, why: str) -> None:
    with pytest.raises(SourceRefused, match=why):
        redirected(f"{here}?sig=s3cret", location)


@pytest.mark.parametrize(
    ("url", "wire"),
    [
        ("http://h/a%2Fb?X-Sig=a%2Fb%3D+c~*'()", "http://h/a%2Fb?X-Sig=a%2Fb%3D+c~*'()"),
        ("http://h/ä b", "http://h/%C3%A4%20b"),
        ("http://h/\udcff", "http://h/%FF"),
        ('http://h/"<>{}|\\^`', "http://h/%22%3C%3E%7B%7D%7C%5C%5E%60"),
        ("http://h/a\r\nX: y", "http://h/a%0D%0AX:%20y"),
        ("http://[::1]:80/x", "http://[::1]:80/x"),
    ],
)
def test_only_what_no_url_may_hold_is_encoded(url: str, wire: str) -> None:
    assert legal(url) == wire
