"""URLs of endpoints and proxies: what is read from them, and that no error or repr shows their password."""

import pytest

from mirrord.model import Secret
from mirrord.proxies import HttpPeer
from mirrord.s3.http_errors import UrlUnusable
from mirrord.s3.wire.http import WireClient


def test_a_peer_is_read_from_a_url() -> None:
    peer = HttpPeer.of("https://user:p%2Fw@[2001:db8::1]:8443/path?query")
    assert (peer.host, peer.port, peer.secure, peer.authority) == ("2001:db8::1", 8443, True, "[2001:db8::1]:8443")
    assert peer.authorization == Secret("Basic dXNlcjpwL3c=")
    assert HttpPeer.of("http://Store.Example:80").authority == "store.example"
    assert "dXNlcjp" not in repr(peer)


@pytest.mark.parametrize(
    "url",
    [
        "http://user:hidden/word@proxy:3128",
        "http://user:hidden?word@proxy:3128",
        "http://user:hidden#word@proxy:3128",
        "http://user:hidden@proxy:port",
        "http://user:hidden@proxy:99999",
        "http://user:hidden@:80",
        "socks5://user:hidden@proxy:1080",
    ],
)
def test_an_unusable_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(UrlUnusable) as caught:
        WireClient(url)
    assert "hidden" not in str(caught.value)
    assert caught.value.__cause__ is None
