"""Addresses for users: they contain no part of a password, token or query, in any form of the address."""

import pytest

from mirrord.manifest.syntax.nodes import safe
from mirrord.model.addresses import shown
from mirrord.telemetry.redaction import redact

SECRETS = ("PW", "WORD", "TOKEN", "%50%57")

MALFORMED = {
    "https://me:PW@h.example/a": "https://h.example/a",
    "https:/me:PW@h.example/a": "https:/h.example/a",
    "https:me:PW@h.example/a": "https:h.example/a",
    "https:///me:PW@h.example/a": "https:///h.example/a",
    "https:\\\\me:PW@h.example\\a": "https:\\\\h.example\\a",
    "https//me:PW@h.example/a": "https//h.example/a",
    "HTTP//me:PW@h.example/a?X-Sig=TOKEN": "HTTP//h.example/a?…",
    "http//TOKEN@h.example": "http//h.example",
    "//me:PW@h.example/a": "//h.example/a",
    "me:PW@h.example/a": "me:h.example/a",
    "HTTPS://me:PW@h.example/a": "HTTPS://h.example/a",
    " https://me:PW@h.example/a": " https://h.example/a",
    "https://TOKEN@h.example/": "https://h.example/",
    "https://TOKEN@h.example": "https://h.example",
    "https://TOKEN:@h.example/a": "https://h.example/a",
    "https://:PW@h.example/a": "https://h.example/a",
    "https://me:PW@WORD@h.example/a": "https://h.example/a",
    "https://me:PW/WORD@h.example/a": "https://[cut]",
    "https://me:PW?WORD@h.example/a": "https://[cut]",
    "https://me:PW#WORD@h.example/a": "https://[cut]",
    "https://me:PW\\WORD@h.example/a": "https://[cut]",
    "https://me:1/PW@h.example/a": "https://[cut]",
    "https://me.x:1/PW@h.example/a": "https://[cut]",
    "https://TOKEN/WORD@h.example/a": "https://[cut]",
    "https://TOKEN?WORD@h.example/a": "https://[cut]",
    "https://me:PW@WORD/PW@h.example/a": "https://[cut]",
    "https://me:PW@WO.RD/PW@h.example/a": "https://[cut]",
    "https://me:P W@h.example/a": "https://h.example/a",
    "https://me:PW WORD/PW@h.example/a": "https://[cut]",
    "https://me:P\tW@h.example/a": "https://h.example/a",
    "https://me:PW": "https://[cut]",
    "https://me:PW/a": "https://[cut]",
    "https://me%3APW%40h.example/a": "https://[cut]",
    "https://me:%50%57%40WORD@h.example/a": "https://h.example/a",
    "https://me:PW@[::1]:80/a": "https://[::1]:80/a",
    "https://me:PW@h.example:PW/a": "https://[cut]",
    "https://h.example/a?X-Sig=TOKEN&b": "https://h.example/a?…",
    "https://h.example/a#access_token=TOKEN": "https://h.example/a#…",
    "https://h.example?TOKEN": "https://h.example?…",
    "https://h.example/a?mail=PW@TOKEN": "https://h.example/a?…",
    "https:/h.example/a?X-Sig=TOKEN": "https:/h.example/a?…",
    "h.example/a?X-Sig=TOKEN": "h.example/a?…",
    "s3://AKIA:PW@bucket/key": "s3://bucket/key",
    "s3://AKIA:PW/WORD@bucket/key": "s3://[cut]",
    "s3://AKIA:80/PW@bucket/key": "s3://[cut]",
    "<https://me:PW@h.example/a>": "<https://h.example/a>",
    "<https:/me:PW@h.example/a>": "<https:/h.example/a>",
    "'https://me:PW@h.example/a'": "'https://h.example/a'",
    "(https://me:PW/WORD@h.example/a)": "(https://[cut]",
    "[a](https://TOKEN@h.example/a)": "[a](https://h.example/a)",
    "\ufeffhttps://me:PW@h.example/a": "\ufeffhttps://h.example/a",
    "\u200bhttps://TOKEN@h.example/a": "\u200bhttps://h.example/a",
    "https;//me:PW@h.example/a": "https;//h.example/a",
    "https.//TOKEN@h.example/a": "https.//h.example/a",
    "see https://me:PW@h.example/a": "see https://h.example/a",
    "h ttps://me:PW@h.example/a?TOKEN": "h ttps://h.example/a?…",
    "http://me:PW@proxy:3128": "http://proxy:3128",
    "socks5://me:PW@proxy.example:1080": "socks5://proxy.example:1080",
    "postgresql://me:PW@db:5432/mirrord": "postgresql://db:5432/mirrord",
    "https://hooks.example/x?key=TOKEN": "https://hooks.example/x?…",
    "https://h.example/a;token=TOKEN/b;TOKEN?TOKEN": "https://h.example/a;…/b;…?…",
    "https://h.example/a;jsessionid=TOKEN": "https://h.example/a;…",
    "https://me:PW@h.example/;TOKEN#TOKEN": "https://h.example/;…#…",
    "h.example:80/a;token=TOKEN": "h.example:80/a;…",
    "https:/h.example/a;token=TOKEN": "https:/h.example/a;…",
    "view-source:https://me:PW@h.example/a": "view-source:[cut]",
}


@pytest.mark.parametrize("address", MALFORMED)
def test_no_form_of_an_address_shows_a_secret(address: str) -> None:
    assert shown(address) == MALFORMED[address]
    for text in (shown(address), safe(address)):
        assert not any(secret in text for secret in SECRETS), text


@pytest.mark.parametrize("address", [one for one in MALFORMED if one.strip().startswith(("h", "H", "/", "s3", "p"))])
def test_no_log_line_shows_one(address: str) -> None:
    """In the midst of a text an address ends at a space, and begins with a scheme or two slashes."""
    if " " not in address.strip() and "\t" not in address and not address.startswith("h.example"):
        text = redact(f'cannot ask {address}: no; see ({address}) and "{address}"')
        assert not any(secret in text for secret in SECRETS), text


@pytest.mark.parametrize(
    "address",
    [
        "https://example.org/geo/city.mmdb",
        "https://registry.npmjs.org/@babel/core/-/core-7.0.0.tgz",
        "https://cdn.jsdelivr.net/npm/jquery@3.6.0/dist/jquery.js",
        "http://127.0.0.1:9000/a@b",
        "http://localhost:8420/a@b",
        "http://minio:9000",
        "http://h.example:9000/a",
        "http://[::1]:9000/a",
        "https://{host}.example.org/{version}/a",
        "https://bücher.example/a",
        "https://h.example/a b",
        "s3://datasets/npm/jquery@3.6.0",
        "s3://b/@scope/x",
        "s3://b/a;v=1/x",
        "text/html;charset=utf-8",
        "https://h.example/a?…",
        "https://h.example/a;…/b#…",
        "https://h.example/a;",
        "https://h.example/a?",
        "file:///srv/what?.csv",
        "file:///srv/a@b#c",
        "/srv/me:x@y",
        "../in/me@box",
        "./me@box",
        "me@example.org",
        "0 3 * * *",
        "08:00-18:00",
        "sha256:9f86d081",
        "text/html; charset=utf-8",
        "a note: with a colon, 50% and {braces}",
        "what?",
        "**/*.csv?",
        "",
    ],
)
def test_a_text_without_a_secret_is_shown_unchanged(address: str) -> None:
    assert shown(address) == address
