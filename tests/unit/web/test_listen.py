"""Addresses to listen on, as `daemon.listen` writes them."""

import pytest

from mirrord.settings import parse_listen


@pytest.mark.parametrize(
    ("listen", "host", "port"),
    [
        ("127.0.0.1:8420", "127.0.0.1", 8420),
        ("[::1]:0", "::1", 0),
        ("[fe80::1]:65535", "fe80::1", 65535),
        ("localhost:80", "localhost", 80),
        ("0.0.0.0:8420", "0.0.0.0", 8420),
    ],
)
def test_valid_addresses(listen: str, host: str, port: int) -> None:
    assert parse_listen(listen) == (host, port)


@pytest.mark.parametrize(
    "listen", ["", "8420", ":8420", "::1:8420", "[::1]", "host:65536", "host:", "a b:1", "host:-1"]
)
def test_invalid_addresses(listen: str) -> None:
    with pytest.raises(ValueError, match="write host:port"):
        parse_listen(listen)
