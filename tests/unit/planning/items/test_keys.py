"""Keys: which are valid; placeholder values of URLs: plain ones, which need no urllib, and all others."""

import pytest

from mirrord.model.origins import origin_at
from mirrord.planning.items import keys


@pytest.mark.parametrize("port", [1, 80, 9999, 10_000, 44_007, 59_999, 60_000, 64_999, 65_000, 65_535])
def test_a_port_is_no_part_of_the_host(port: int) -> None:
    url = f"http://127.0.0.1:{port}/a/b%20c.bin?d=e"
    assert keys.key_values(origin_at(url)) == {"host": "127.0.0.1", "path": "/a/b c.bin", "name": "b c.bin"}
    plain = keys._PLAIN.fullmatch(f"http://127.0.0.1:{port}/a")
    assert (plain is not None) == (port < 65_000)


@pytest.mark.parametrize("port", ["0", "65536", "70000", "99999", "100000", "x"])
def test_a_port_that_does_not_exist_is_refused(port: str) -> None:
    with pytest.raises(ValueError, match="check its host and port"):
        keys.key_values(origin_at(f"http://127.0.0.1:{port}/a"))


@pytest.mark.parametrize(
    "key", ["a", "\n", "a/\n", "a\n", "a\n/b", "..a", "...", "a/.b", " ", "k" * 1024, "\u00e9" * 512]
)
def test_a_valid_key(key: str) -> None:
    assert keys.key_fault(key) is None


@pytest.mark.parametrize(
    ("key", "fault"),
    [
        ("", "the key is empty"),
        ("/a", "the key begins with a slash"),
        ("a//b", "the key has an empty segment"),
        ("a/", "the key has an empty segment"),
        (".", "the key has a segment ."),
        ("a/../b", "the key has a segment .."),
        ("a/..", "the key has a segment .."),
        ("a\0b", "the key holds a NUL"),
        ("\ud800", "the key is not UTF-8"),
        ("\u00e9" * 512 + "k", "the key has 1,025 bytes, S3 takes 1,024"),
    ],
)
def test_a_fault_of_a_key(key: str, fault: str) -> None:
    assert keys.key_fault(key) == fault
