"""Targets of redirects, and location ids."""

import pytest

from mirrord.errors import SourceRefused
from mirrord.sources.http.urls import location_id, redirect_target


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
def test_the_target_of_a_redirect(here: str, location: str, there: str) -> None:
    assert redirect_target(here, location) == there


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
def test_a_redirect_is_refused(here: str, location: str | None, why: str) -> None:
    with pytest.raises(SourceRefused, match=why):
        redirect_target(f"{here}?sig=s3cret", location)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://h/a?X-Amz-Date=1&X-Amz-Signature=2", "https://h/a?X-Amz-Date=3&X-Amz-Signature=4", True),
        ("https://h/a?sv=1&sig=2&se=3", "https://h/a?sv=1&sig=9&se=9", True),
        ("https://h/a?id=1&sig=2", "https://h/a?id=2&sig=2", False),
        ("https://h/a", "https://h/b", False),
        ("https://h/a", "http://h/a", False),
        ("https://h/a", "https://i/a", False),
        ("https://h/a?x", "https://h/a?y", False),
        ("https://h/a%2Fb", "https://h/a/b", False),
    ],
)
def test_a_location_id_is_of_the_url_without_its_signature(one: str, other: str, same: bool) -> None:
    assert (location_id(one) == location_id(other)) is same
