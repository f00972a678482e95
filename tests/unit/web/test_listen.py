"""Addresses to listen on, as `daemon.listen` writes them."""

import pytest

from mirrord.settings import listen_host, parse_listen, resolve, socket_path


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


@pytest.mark.parametrize(
    ("listen", "path"),
    [("unix:/run/m.sock", "/run/m.sock"), ("unix:m", "m"), ("unix:", None), ("unix:8420", "8420"), ("UNIX:/a", None)],
)
def test_paths_of_unix_sockets(listen: str, path: str | None) -> None:
    assert socket_path(listen) == path


def test_a_socket_has_no_host() -> None:
    assert (listen_host("unix:/run/m.sock"), listen_host("[::1]:0")) == ("", "::1")


def test_a_path_of_flag_or_variable_is_relative_to_the_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    monkeypatch.setenv("HOME", "/home/ada")
    flags = {"state": "/s"}
    assert resolve(flags, {"MIRRORD_LISTEN": "unix:run/m"}, {}).listen == "unix:/run/m"
    assert resolve({**flags, "listen": "unix:~/m"}, {}, {}).listen == "unix:/home/ada/m"
    with pytest.raises(ValueError, match=r"MIRRORD_LISTEN: 'unix:' is no address .* or unix:PATH"):
        resolve(flags, {"MIRRORD_LISTEN": "unix:"}, {})
