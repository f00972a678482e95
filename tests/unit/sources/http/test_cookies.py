"""Cookies of redirects: which request gets them, and their bounds."""

import pytest

from mirrord.sources.http.cookies import RedirectCookies


def sent(lines: list[str], to: str, *, by: str = "https://a.example/dir/x", own: str | None = None) -> str | None:
    cookies = RedirectCookies()
    cookies.keep(by, lines)
    return cookies.header(to, own)


@pytest.mark.parametrize(
    ("line", "to", "expected"),
    [
        ("k=v", "https://a.example/dir/y", "k=v"),
        ("k=v", "https://a.example:8443/dir/y?q", "k=v"),
        ("k=v", "https://A.example./dir/sub/y", "k=v"),
        ("k=v", "https://a.example/directory", None),
        ("k=v", "https://a.example/", None),
        ("k=v; path=/", "https://a.example/", "k=v"),
        ("k=v; PATH=/else", "https://a.example/else", "k=v"),
        ("k=v; Path=else", "https://a.example/dir/y", "k=v"),
        ("k=v; Path=/", "https://b.example/", None),
        ("k=v; Path=/; Domain=example", "https://b.example/", None),
        ("k=v; Path=/; Domain=.a.example", "https://sub.a.example/", None),
        ("k=v; Path=/; Secure", "http://a.example/", None),
        ("k=v; Path=/", "http://a.example/", "k=v"),
        (" k = v w ; HttpOnly", "https://a.example/dir/", "k=v w"),
        ("k=", "https://a.example/dir/y", "k="),
        ("k=a=b", "https://a.example/dir/y", "k=a=b"),
        ("k", "https://a.example/dir/y", None),
        ("=v", "https://a.example/dir/y", None),
        ("k=v\x00", "https://a.example/dir/y", None),
        ("k=v\tw", "https://a.example/dir/y", None),
        ("k=" + "v" * 4096, "https://a.example/dir/y", None),
        ("k=v; Max-Age=0", "https://a.example/dir/y", None),
        ("k=v; Max-Age=-1", "https://a.example/dir/y", None),
        ("k=v; Max-Age=60", "https://a.example/dir/y", "k=v"),
        ("k=; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "https://a.example/dir/y", None),
        ("k=v; Expires=Thu, 01 Jan 2099 00:00:00 GMT", "https://a.example/dir/y", "k=v"),
    ],
)
def test_a_cookie_goes_to_its_host_and_path(line: str, to: str, expected: str | None) -> None:
    assert sent([line], to) == expected


def test_a_later_cookie_replaces_or_deletes_an_earlier_one_of_its_name() -> None:
    assert sent(["k=1", "l=2", "k=3"], "https://a.example/dir/") == "k=3; l=2"
    assert sent(["k=1", "k=; Max-Age=0"], "https://a.example/dir/") is None


def test_the_entrys_own_cookies_stay() -> None:
    assert sent(["k=1"], "https://a.example/dir/", own="mine=0") == "mine=0; k=1"
    assert sent(["k=1"], "https://b.example/dir/", own="mine=0") == "mine=0"


def test_number_and_size_are_bounded() -> None:
    many = sent([f"k{number}=1" for number in range(100)], "https://a.example/dir/") or ""
    assert len(many.split("; ")) == 50
    large = sent([f"k{number}=" + "v" * 4000 for number in range(20)], "https://a.example/dir/") or ""
    assert 12_000 < len(large) <= 16_384
